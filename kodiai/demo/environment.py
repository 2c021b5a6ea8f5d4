"""The demo's settings. They are set before Django reads them, so nothing in this module imports Django."""

import os
import secrets
from pathlib import Path
from urllib.parse import quote_plus

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "demo"
DATABASE = FOLDER / "kodiai.sqlite3"
TELEMETRY_DATABASE = FOLDER / "telemetry.sqlite3"
"""A separate database, so that it can be locked while everything else works."""


def prepare() -> None:
    """Set the environment of this process and its children to the demo's databases, and remove the operator's settings.

    Nowhere else does Kodiai generate a secret key: what it signs is invalid after the demo.
    """
    for name in [name for name in os.environ if name.startswith("KODIAI_") or name == "DATABASE_URL_FILE"]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_GITHUB_APP_FILE": os.devnull,
        "KODIAI_SECRET_KEY": secrets.token_urlsafe(50),
        "DATABASE_URL": _sqlite_url(DATABASE),
        "KODIAI_TELEMETRY_DATABASE_URL": _sqlite_url(TELEMETRY_DATABASE),
        # Pending telemetry is recorded within a second, so that the demo need not wait for it.
        "KODIAI_SWEEP_SECONDS": "1",
        # The simulated GitHub is on this machine, where no proxy reaches it.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{quote_plus(str(path), safe='/')}"
