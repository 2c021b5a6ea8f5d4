"""The demo's settings. They have to be there before Django reads its own, so nothing in here imports Django."""

import os
import secrets
from pathlib import Path
from urllib.parse import quote_plus

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "demo"
DATABASE = FOLDER / "kodiai.sqlite3"
TELEMETRY_DATABASE = FOLDER / "telemetry.sqlite3"
"""A store of its own, so that it can be locked while all else works."""


def prepare() -> None:
    """Point this process and its children at the demo's folder, and away from any real set-up.

    The only place where Kodiai makes up a secret key: what it signs ends with the demo.
    """
    for name in [name for name in os.environ if name.startswith("KODIAI_")]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_SECRET_KEY": secrets.token_urlsafe(50),
        "DATABASE_URL": _sqlite_url(DATABASE),
        "KODIAI_TELEMETRY_DATABASE_URL": _sqlite_url(TELEMETRY_DATABASE),
        # What telemetry is owed comes within seconds, so that the story can be told to its end.
        "KODIAI_SWEEP_SECONDS": "1",
        # GitHub is on this machine: no proxy knows the way to it.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{quote_plus(str(path), safe='/')}"
