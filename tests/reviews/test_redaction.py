"""Secrets are redacted from any text, however they are written."""

import html
import json
from urllib.parse import quote

import pytest
from pytest_django import Settings

from reviews.redaction import REDACTED, redact
from sandbox import Sandbox
from tests.support.runs import admit, run

ODD = 'pass"w\\ord <&> é'


@pytest.mark.parametrize(
    ("secret", "around"),
    [
        ("ghs_" + "a1B2" * 9, "token {} end"),
        ("ghs_123_eyJhbGciOi.eyJpc3MiOiIx.c2lnbmF0dXJl", "said:\\n{}"),
        ("github_pat_" + "a1B2" * 9, "{}"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl-_", "x{}"),
        ("A" * 40, "Authorization: Bearer {}"),
        ("hunter2", "postgresql://kodiai:{}@db:5432/kodiai"),
        ("hunter2", "redis://:{}@cache:6379/0"),
        ("MIIEowIBAAKCAQEAvx\nAAAA/BBBB+cc==", "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"),
        ("MIIEowIBAAKCAQEAvx\\nAAAA/BBBB", "-----BEGIN PRIVATE KEY-----\\n{}"),
        ("sk-ant-api03-" + "x" * 30, "key={}"),
    ],
)
def test_what_has_the_form_of_a_secret_is_taken_out(secret: str, around: str) -> None:
    text = redact(around.format(secret))

    assert secret not in text
    assert REDACTED in text


@pytest.mark.parametrize("written", [str, lambda s: json.dumps(s)[1:-1], lambda s: repr(s)[1:-1], html.escape, quote])
def test_own_secrets_are_redacted_however_they_are_written(settings: Settings, written: object) -> None:
    assert callable(written)
    settings.SECRET_KEY = ODD
    settings.KODIAI_GITHUB_WEBHOOK_SECRET = ["first-secret", "second-secret"]
    settings.KODIAI_LLM_API_KEY = "a-key-of-no-known-form"

    assert redact(f"a {written(ODD)} b") == f"a {REDACTED} b"
    assert redact("first-secret, second-secret") == f"{REDACTED}, {REDACTED}"
    assert redact("with a-key-of-no-known-form") == f"with {REDACTED}"


def test_one_line_of_the_private_key_is_taken_out(settings: Settings) -> None:
    settings.KODIAI_GITHUB_PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKC\nAQEAvxAAAA\n-----END…-----\n"

    assert redact("bad line 'AQEAvxAAAA'") == f"bad line '{REDACTED}'"


@pytest.mark.parametrize(
    "text",
    [
        "GitHub answered 403: Resource not accessible by integration",
        "http://127.0.0.1:8000/admin/ and https://user@host/ and git@github.com:octo/demo.git",
        "token issued for installation 7",
        "head b1febbf6ac06b1febbf6ac06b1febbf6ac06b1fe",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_line_of_json_stays_json() -> None:
    line = json.dumps(
        {"event": "x", "error": "-----BEGIN PRIVATE KEY-----\nMIIE", "url": "a://u:p@h", "t": "ghs_" + "a" * 36}
    )

    assert json.loads(redact(line)) == {"event": "x", "error": REDACTED, "url": f"a://u:{REDACTED}@h", "t": REDACTED}


@pytest.mark.django_db
@pytest.mark.parametrize("broken", ["in the middle", "without its frame", "another kind"])
def test_an_unreadable_private_key_is_not_repeated(
    github: Sandbox, settings: Settings, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    key = github.private_key
    lines = key.splitlines()
    settings.KODIAI_GITHUB_PRIVATE_KEY = {
        "in the middle": key[:300] + "!" + key[300:],
        "without its frame": "\n".join(lines[1:-1]),
        "another kind": key.replace("RSA PRIVATE", "EC PRIVATE"),
    }[broken]
    pull = github.create_repository(files={"a.py": "x = 1\n"}).open_pull_request(changes={"a.py": "x = 2\n"})

    review = run(admit(pull))

    assert review.attempts == 1
    said = review.delivery.failure + review.conclusion_reason + caplog.text
    assert "key" in review.delivery.failure
    assert not [line for line in lines[1:-1] if line in said]
