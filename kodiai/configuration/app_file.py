"""The App's credentials as `/setup` stores them: one file, encrypted with a key derived from `KODIAI_SECRET_KEY`.

Settings are read from the environment, then from `.env`, then from here. Nothing here imports Django.
"""

import base64
import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

APP_ID = "KODIAI_GITHUB_APP_ID"
NAMES = (
    APP_ID,
    "KODIAI_GITHUB_APP_SLUG",
    "KODIAI_GITHUB_PRIVATE_KEY",
    "KODIAI_GITHUB_WEBHOOK_SECRET",
    "KODIAI_GITHUB_API_URL",
)
"""The settings that the file may hold."""
INFO = b"kodiai: credentials of the GitHub App"
"""Ties the derived key to its purpose. Source: RFC 5869, section 3.2."""
MAX_FILE = 64 * 1024


class Undecryptable(Exception):
    """The file was encrypted with another key, or is damaged."""


def read(path: Path, secret_keys: Sequence[str]) -> dict[str, str]:
    """Return the settings in the file; none if there is no file. Raises `Undecryptable` and OSError.

    `secret_keys` are tried in turn: the present key, then former ones.
    """
    try:
        with path.open("rb") as file:
            encrypted = file.read(MAX_FILE)
    except FileNotFoundError:
        return {}
    if not encrypted:
        return {}
    # Imported here: most processes of an installation with `.env` need no cryptography for their settings.
    from cryptography.fernet import InvalidToken

    for key in secret_keys:
        with suppress(InvalidToken):
            found = json.loads(_fernet(key).decrypt(encrypted))
            return {name: str(found[name]) for name in NAMES if name in found}
    raise Undecryptable


def write(path: Path, values: dict[str, str], secret_key: str) -> None:
    """Store settings, in one step, in a file that only its owner can read. Raises OSError."""
    if path.exists() and not path.is_file():
        # /dev/null stands for none, and must stay what it is.
        raise FileExistsError(errno.EEXIST, "it is no file", str(path))
    encrypted = _fernet(secret_key).encrypt(json.dumps(values).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    # Its mode is 0600.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        try:
            file.write(encrypted)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def renew(path: Path, secret_keys: Sequence[str]) -> bool:
    """Encrypt the file with the first key if a former one encrypted it; return whether that was so."""
    with suppress(Undecryptable):
        read(path, secret_keys[:1])
        return False
    write(path, read(path, secret_keys), secret_keys[0])
    return True


def _fernet(secret_key: str) -> "Fernet":
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO).derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
