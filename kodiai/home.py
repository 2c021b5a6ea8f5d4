"""Where Kodiai keeps `.env` and `var/`: in its checkout, or, installed as a package, in the working directory."""

from pathlib import Path

CODE = Path(__file__).resolve().parent.parent
"""The folder that holds the packages."""
IS_CHECKOUT = (CODE / "manage.py").is_file()
HOME = CODE if IS_CHECKOUT else Path.cwd()
