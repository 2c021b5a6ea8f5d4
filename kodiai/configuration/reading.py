"""Read the settings: from `.env` and the environment, all of them, or say in one sentence each what is wrong."""

import difflib
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import environ

from kodiai.configuration import app_file
from kodiai.configuration.declarations import SETTINGS, Configuration, Setting
from kodiai.configuration.kinds import Unreadable

PREFIX = "KODIAI_"
OWN_NAMES = frozenset({"KODIAI_ENV_FILE", "KODIAI_SUPERVISOR"})
"""Names that mean something beside the settings."""
TEST_PREFIX = "KODIAI_TEST_"
"""Names that Kodiai's tests read."""
MAX_FILE = 64 * 1024
"""Bytes of a file that holds a secret. An RSA key has about three thousand."""
KUBERNETES = re.compile(r"KODIAI_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_[0-9]+_(TCP|UDP)(_.*)?)")
"""Names that Kubernetes sets in every container beside a service named kodiai, and `KODIAI_PORT=tcp://…`.

Source: Kubernetes documentation, "Service", environment variables."""
ENV_LINE = re.compile(r"\s*(#.*)?|(export )?[A-Za-z_0-9]+=.*")
"""A line of `.env` that django-environ reads. It would log others whole, with the secrets in them."""


class InvalidSettings(Exception):
    """Settings that cannot be read: one sentence each, without the value of a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(environment: MutableMapping[str, str], default_env_file: Path) -> Configuration:
    """Add what `.env` has to `environment`, which takes precedence, and read it. Raises `InvalidSettings`.

    What neither has of the App's credentials comes from the file that `/setup` writes; `environment` never gets it.
    """
    problems = _read_env_file(environment, default_env_file)
    stored: dict[str, str] = {}
    try:
        stored = stored_app(environment, default_env_file.parent)
    except Unreadable as unreadable:
        problems.append(str(unreadable))
    try:
        configuration = read({**environment, **stored})
    except InvalidSettings as invalid:
        raise InvalidSettings(problems + invalid.problems) from None
    if problems:
        raise InvalidSettings(problems)
    return configuration


def app_file_path(environment: Mapping[str, str], root: Path) -> Path:
    """Return where `/setup` stores the App's credentials."""
    return Path(environment.get("KODIAI_GITHUB_APP_FILE", "").strip() or root / "var" / "github-app")


def stored_app(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return the App's stored credentials that the environment does not set; none if it names another App.

    Raises `Unreadable` with a whole sentence.
    """
    missing = [name for name in app_file.NAMES if not _is_set(name, environment)]
    path = app_file_path(environment, root)
    keys = _secret_keys(environment)
    if not missing or not keys:
        return {}
    try:
        stored = app_file.read(path, keys)
    except app_file.Undecryptable:
        raise Unreadable(
            f"KODIAI_GITHUB_APP_FILE ({path}) cannot be decrypted: KODIAI_SECRET_KEY is another one than at /setup. "
            "Add the former key to KODIAI_SECRET_KEY_FALLBACKS, or remove the file and connect GitHub again."
        ) from None
    except OSError as error:
        raise Unreadable(
            f"KODIAI_GITHUB_APP_FILE ({path}) cannot be read ({error.strerror}): let Kodiai's user read it."
        ) from None
    if app_file.APP_ID not in missing and environment[app_file.APP_ID].strip() != stored.get(app_file.APP_ID):
        return {}
    return {name: value for name, value in stored.items() if name in missing}


def _is_set(name: str, environment: Mapping[str, str]) -> bool:
    return bool(environment.get(name, "").strip() or environment.get(f"{name}_FILE", "").strip())


def _secret_keys(environment: Mapping[str, str]) -> list[str]:
    """Return the secret key and former ones; none if they cannot be read, which `read` reports."""
    by_name = {setting.name: setting for setting in SETTINGS}
    try:
        key = _value(by_name["KODIAI_SECRET_KEY"], environment)
        return [key, *_value(by_name["KODIAI_SECRET_KEY_FALLBACKS"], environment)]
    except Unreadable:
        return []


def read(environment: Mapping[str, str]) -> Configuration:
    """Read every setting. Raises `InvalidSettings`, which names all that are wrong."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            values[setting.attribute] = _value(setting, environment)
        except Unreadable as unreadable:
            problems.append(str(unreadable))
    if problems:
        raise InvalidSettings(problems)
    return Configuration(**values)


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Name what is set and means nothing, with the nearest name that does: one sentence each."""
    found: list[str] = []
    known = {setting.name for setting in SETTINGS}
    files = {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper.startswith(TEST_PREFIX) or name in known | files | OWN_NAMES:
            continue
        if KUBERNETES.fullmatch(name) or (name == "KODIAI_PORT" and "://" in environment[name]):
            continue
        if upper in known | files:
            nearest = upper
        elif upper.removesuffix("_FILE") in known:
            nearest = upper.removesuffix("_FILE")
        else:
            nearest = _nearest(upper, known | files)
        found.append(
            f"{name} is set, but no setting has this name"
            + (f": did you mean {nearest}?" if nearest else ": remove it; .env.example has all names.")
        )
    both = (each.name for each in SETTINGS if each.secret and environment.get(each.name))
    return found + [
        f"{name} and {name}_FILE are both set, and the file is used: remove one of them."
        for name in both
        if environment.get(f"{name}_FILE")
    ]


def doubtful_secrets(configuration: Configuration) -> list[str]:
    """Name secrets that were hardly meant so: with quotation marks around them, or blanks inside."""
    found = []
    for setting in SETTINGS:
        value = getattr(configuration, setting.attribute)
        texts = [value] if isinstance(value, str) else value
        if not setting.secret or not isinstance(texts, list | tuple) or setting.attribute == "github_private_key":
            continue
        if any(text[:1] in "'\"" and text[:1] == text[-1:] for text in texts if text):
            found.append(
                f"{setting.name} begins and ends with a quotation mark: remove both, unless they belong to it."
            )
        elif any(re.search(r"\s", text) for text in texts):
            found.append(f"{setting.name} has a blank or a line break inside: remove it, unless it belongs to it.")
    return found


def _value(setting: Setting, environment: Mapping[str, str]) -> Any:
    """Return the value of a setting. Raises `Unreadable` with a whole sentence."""
    text = environment.get(setting.name, "").strip()
    if setting.secret and environment.get(f"{setting.name}_FILE", "").strip():
        text = _content(f"{setting.name}_FILE", environment[f"{setting.name}_FILE"].strip())
    if not text:
        if setting.default is None:
            raise Unreadable(f"{setting.name} is not set. {setting.without}.")
        text = setting.default
    if not text:
        return _nothing(setting)
    try:
        return setting.kind.parse(text)
    except Unreadable as unreadable:
        raise Unreadable(f"{setting.name} {unreadable}.") from None


def _nothing(setting: Setting) -> Any:
    """The value of a setting that is not set and has no default."""
    wanted = Configuration.__annotations__[setting.attribute]
    return {str: "", tuple[str, ...]: (), Mapping[str, Any]: {}}[wanted]


def _content(name: str, path: str) -> str:
    """Return what a secret's file holds. No error shows the path: it may be the secret itself, in the wrong name."""
    advice = "set it to the path of a file that Kodiai's user may read"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE + 1)
        text = content.decode("utf-8-sig").strip()
    except OSError as error:
        raise Unreadable(f"{name} cannot be read ({error.strerror}): {advice}.") from None
    except ValueError:
        raise Unreadable(f"{name} cannot be read (it is not text in UTF-8): {advice}.") from None
    if not text or len(content) > MAX_FILE or "\0" in text:
        wrong = "it is empty" if not text else "it is too large, or not text"
        raise Unreadable(f"{name} cannot be read ({wrong}): {advice}.")
    return text


def _read_env_file(environment: MutableMapping[str, str], default: Path) -> list[str]:
    """Read `.env`, or the file that `KODIAI_ENV_FILE` names; return what is wrong with it."""
    given = environment.get("KODIAI_ENV_FILE", "").strip()
    path = Path(given) if given else default
    what = f"KODIAI_ENV_FILE ({path})" if given else str(path)
    if not path.exists() and given:
        return [f"{what} does not exist: set it to the path of a file, or remove it."]
    # /dev/null stands for none.
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        return [f"{what} cannot be read ({error.strerror}): let Kodiai's user read it."]
    except UnicodeDecodeError:
        return [f"{what} cannot be read: it is not text in UTF-8."]
    wrong = [str(number) for number, line in enumerate(lines, 1) if not ENV_LINE.fullmatch(line)]
    if wrong:
        return [
            f"{what} cannot be read in line {', '.join(wrong[:5])}{', …' if len(wrong) > 5 else ''}: write NAME=value, "
            "without blanks around =, and a key of several lines as NAME_FILE=path."
        ]
    before = environ.Env.ENVIRON
    environ.Env.ENVIRON = environment
    try:
        environ.Env.read_env(path, overwrite=False, encoding="utf-8-sig")
    finally:
        environ.Env.ENVIRON = before
    return []


def _nearest(name: str, known: frozenset[str] | set[str]) -> str:
    """The known name that is most like `name`; empty if none is."""
    short = name.removeprefix(PREFIX)
    by_short = {each.removeprefix(PREFIX): each for each in known}
    words = set(short.split("_"))
    # A word that was left out, or one too many: KODIAI_WEBHOOK_SECRET, KODIAI_APP_ID.
    subset = [each for each in by_short if words <= set(each.split("_")) or words >= set(each.split("_"))]
    close = (
        difflib.get_close_matches(short, sorted(by_short), n=1, cutoff=0.9)
        or difflib.get_close_matches(short, sorted(subset), n=1, cutoff=0.5)
        or difflib.get_close_matches(short, sorted(by_short), n=1, cutoff=0.7)
    )
    return by_short[close[0]] if close else ""
