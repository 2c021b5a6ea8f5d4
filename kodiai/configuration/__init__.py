"""The settings of an installation: declared once, read from the environment, documented from the declarations.

`kinds` and `addresses` turn text into values, `declarations` lists every setting, `app_file` keeps what
`/setup` stored, `reading` reads them all and says what is wrong, `documents` writes `.env.example` and the table of
docs/configuration.md. Nothing here imports Django.
"""

from kodiai.configuration.declarations import SETTINGS, Configuration
from kodiai.configuration.reading import (
    InvalidSettings,
    app_file_path,
    doubtful_secrets,
    load,
    read,
    stored_app,
    unknown_names,
)

__all__ = [
    "SETTINGS",
    "Configuration",
    "InvalidSettings",
    "app_file_path",
    "doubtful_secrets",
    "load",
    "read",
    "stored_app",
    "unknown_names",
]
