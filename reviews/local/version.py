"""The version of Kodiai."""

import tomllib
from pathlib import Path


def version() -> str:
    """Return the version of this checkout, or of the installed package."""
    checkout = Path(__file__).parents[2] / "pyproject.toml"
    if checkout.is_file():
        return str(tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"])
    # Imported here: only an installed package needs it, and it is slow to import.
    from importlib.metadata import version

    return version("kodiai")
