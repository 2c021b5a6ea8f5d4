"""Every setting with every kind of wrong value, and what Kodiai says of it: docs/verification/settings.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from django.conf import settings as configured
from django.core.checks.registry import registry
from django.test import override_settings

from kodiai.configuration import SETTINGS, InvalidSettings, doubtful_secrets, read, unknown_names
from kodiai.configuration.addresses import (
    CacheAddress,
    DatabaseAddress,
    HostName,
    Listening,
    MailServer,
    RedisAddress,
    WebAddress,
)
from kodiai.configuration.declarations import Setting
from kodiai.configuration.kinds import Amount, Duration, Kind, Listed, OneOf, Secret, Switch, Text, Whole
from sandbox.app import key_pair

HUSH = "hunter2-hunter2"
"""A secret that no sentence may hold."""
RIGHT = {
    "KODIAI_SECRET_KEY": "a-key-for-tests-only-" + "0123456789" * 2,
    "KODIAI_GITHUB_WEBHOOK_SECRET": "the-webhook-secret",
    "KODIAI_GITHUB_APP_ID": "1",
    "KODIAI_ALLOWED_HOSTS": "kodiai.example.org",
}
"""Settings that are right, with the key of the sandbox."""
WRONG: dict[type, tuple[str, str]] = {
    Whole: ("x", "-1"),
    Amount: ("ten", "nan"),
    Duration: ("1 minute", "-5"),
    Switch: ("enabled", "2"),
    OneOf: ("loud", "-1"),
    HostName: ("https://kodiai.example.org", "kodiai.example.org:8000"),
    Listening: ("http://0.0.0.0", "127.0.0.1:8000"),
    WebAddress: ("api.github.com", f"https://mona:{HUSH}@api.github.com:99999"),
    DatabaseAddress: ("foo", f"postgresql://mona:{HUSH}@db:99999/kodiai"),
    CacheAddress: ("foo", f"redis://:{HUSH}@cache:99999/0"),
    RedisAddress: ("foo", f"redis://:{HUSH}@queue:6379/first"),
    MailServer: ("foo", f"smtp://mona:{HUSH}@mail:99999"),
    Text: ("two words", "one\ttwo"),
}
"""For each kind a value of another type, and one out of range."""
OWN_WRONG = {"KODIAI_GITHUB_APP_ID": ("my-app", "0"), "KODIAI_GITHUB_APP_SLUG": ("My App", "@kodiai")}
"""The same for settings with a range of their own."""
OTHERS = (
    ("quoted", "KODIAI_WORKERS", '"2"'),
    ("blanks around it", "KODIAI_WORKERS", " 2 "),
    ("huge", "KODIAI_WORKERS", "9" * 5000),
    ("infinite", "KODIAI_LLM_MAX_COST_PER_DAY", "inf"),
    ("other digits", "KODIAI_MAX_ATTEMPTS", "\u0665"),
    ("0", "KODIAI_MAX_ATTEMPTS", "0"),
    ("0", "KODIAI_LEASE_SECONDS", "0"),
    ("another unit", "KODIAI_LEASE_SECONDS", "1w"),
    ("half a day", "KODIAI_RETENTION_DAYS", "12h"),
    ("too short", "KODIAI_RETENTION_DAYS", "7d"),
    ("the Client ID", "KODIAI_GITHUB_APP_ID", "Iv23liAbCdEfGhIjKlMn"),
    ("a login", "KODIAI_GITHUB_APP_SLUG", "kodiai[bot]"),
    ("the web site", "KODIAI_GITHUB_API_URL", "https://github.com"),
    ("blanks for commas", "KODIAI_ALLOWED_HOSTS", "a.example b.example"),
    ("another database", "DATABASE_URL", f"mysql://mona:{HUSH}@db/kodiai"),
    ("no name", "DATABASE_URL", f"postgresql://mona:{HUSH}@db"),
    ("two slashes", "DATABASE_URL", "sqlite://var/kodiai.sqlite3"),
    ("no path", "DATABASE_URL", "sqlite:///"),
    ("/ in the password", "DATABASE_URL", f"postgresql://mona:{HUSH}/x@db/kodiai"),
    ("guessable", "KODIAI_SECRET_KEY", "changeme"),
    ("quoted", "KODIAI_GITHUB_WEBHOOK_SECRET", f'"{HUSH}"'),
    ("a blank inside", "KODIAI_GITHUB_WEBHOOK_SECRET", f"{HUSH} {HUSH}"),
    ("a path", "KODIAI_GITHUB_PRIVATE_KEY", "/etc/kodiai/app.pem"),
    ("the public key", "KODIAI_GITHUB_PRIVATE_KEY", key_pair()[1]),
    ("half of it", "KODIAI_GITHUB_PRIVATE_KEY", key_pair()[0][:400]),
    ("the secret as a path", "KODIAI_GITHUB_WEBHOOK_SECRET_FILE", HUSH),
    ("a folder", "KODIAI_GITHUB_PRIVATE_KEY_FILE", "/"),
    ("malformed", "KODIAI_LLM_PRICES", "openai:gpt-5-mini=cheap"),
    ("no provider", "KODIAI_LLM_MODEL", "gpt-5"),
    ("no such name", "KODIAI_WEBHOOK_SECRET", HUSH),
    ("no such name", "KODIAI_APP_ID", "1"),
    ("no such name", "KODIAI_NONSENSE", "1"),
    ("small letters", "kodiai_workers", "2"),
    ("no secret", "KODIAI_WORKERS_FILE", "/run/secrets/workers"),
)
"""What people write beside that."""


OWN_CHECKS = [check for check in registry.registered_checks if check.__module__ == "kodiai.checks"]


@dataclass(frozen=True)
class Case:
    """A setting, how it is wrong, and the environment that is so; `shown` is what was set."""

    name: str
    how: str
    environment: dict[str, str]
    shown: str


def cases() -> Iterator[Case]:
    """Every setting that is missing, empty, of the wrong type, out of range or misspelt; then other mistakes."""
    right = {**RIGHT, "KODIAI_GITHUB_PRIVATE_KEY": key_pair()[0]}
    for setting in SETTINGS:
        without = {name: value for name, value in right.items() if name != setting.name}
        yield Case(setting.name, "missing", without, "")
        yield Case(setting.name, "empty", {**right, setting.name: "  "}, f"`{setting.name}=`")
        for how, (name, value) in zip(("wrong type", "out of range"), _wrong(setting), strict=True):
            yield Case(setting.name, how, {**without, name: value}, _shown(name, value))
        misspelt = setting.name[:-1]
        yield Case(setting.name, "misspelt", {**right, misspelt: "1"}, _shown(misspelt, "1"))
    for how, name, value in OTHERS:
        yield Case(name, how, {**right, name: value}, _shown(name, value))


@cache
def outcomes() -> list[tuple[Case, list[str]]]:
    """Every case and what is said of it, asked once in a process."""
    return [(case, said(case.environment)) for case in cases()]


def said(environment: dict[str, str]) -> list[str]:
    """What Kodiai says at start with this environment. Sentences of errors that stop it begin with "stops: "."""
    try:
        configuration = read(environment)
    except InvalidSettings as invalid:
        return [f"stops: {problem}" for problem in invalid.problems]
    found = unknown_names(environment) + doubtful_secrets(configuration)
    names = {f"KODIAI_{attribute.upper()}": value for attribute, value in vars(configuration).items()}
    known = {name: value for name, value in names.items() if hasattr(configured, name)}
    key = configuration.github_private_key.replace("\\n", "\n")
    others = {"SECRET_KEY": configuration.secret_key, "ALLOWED_HOSTS": [*configuration.allowed_hosts, "localhost"]}
    with override_settings(**known | others | {"KODIAI_GITHUB_PRIVATE_KEY": key}):
        checks = [message for check in OWN_CHECKS for message in check(app_configs=None)]
    return found + [f"{message.msg} {message.hint or ''}".strip() for message in checks]


def document() -> str:
    """Return docs/verification/settings.md."""
    rows = [
        f"| `{case.name}` | {case.how} | {case.shown} | {_outcome(case, sentences)} |" for case, sentences in outcomes()
    ]
    return "\n".join(
        (INTRO, "| setting | how it is wrong | given | what is said |", "| --- | --- | --- | --- |", *rows, "")
    )


INTRO = """\
# What is said of wrong settings

Written by `make settings` from `tests/support/wrong_settings.py`; `test_the_table_of_settings_is_as_written` holds it
to the code. Every setting is missing, empty, of the wrong type, out of range and misspelt; further mistakes follow.
**Stops** means that every command ends with the sentence and status 1; the others are warnings and errors of the system
checks. No case ends in a traceback, and no sentence holds a secret. Secrets have no type: for them a file that does not
exist and one that is empty stand in. Names without `KODIAI_` belong to other programs too and cannot be misspelt.
"""


def _outcome(case: Case, sentences: list[str]) -> str:
    text = "<br>".join(sentence.replace("stops: ", "**stops:** ") for sentence in sentences)
    return text.replace("|", "\\|").replace("<slug>", "`<slug>`") or _default(case)


def _default(case: Case) -> str:
    setting = next((setting for setting in SETTINGS if setting.name == case.name), None)
    if setting is None or case.how not in ("missing", "empty"):
        return "nothing"
    return f"nothing: the default is `{setting.default}`" if setting.default else f"nothing: {setting.without}"


def _wrong(setting: Setting) -> tuple[tuple[str, str], tuple[str, str]]:
    kind: Kind = setting.kind.item if isinstance(setting.kind, Listed) else setting.kind
    if isinstance(kind, Secret):
        return (f"{setting.name}_FILE", "/no/such/file"), (f"{setting.name}_FILE", "/dev/null")
    first, second = OWN_WRONG.get(setting.name) or WRONG[type(kind)]
    return (setting.name, first), (setting.name, second)


def _shown(name: str, value: str) -> str:
    if "-----BEGIN" in value:
        value = "-----BEGIN …"
    text = f"{name}={value}".replace("\t", "\\t").replace(HUSH, "…")
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"
