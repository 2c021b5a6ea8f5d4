"""A secret is nowhere but in the file: no message, fix, snippet, suggestion, log or prompt has it or a part of it."""

import base64
import io
import json
import logging
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from django.apps import apps
from rich.console import Console

from reviews import engines
from reviews.engines import llm
from reviews.engines.analyzer import Analyzer, run_analyzer
from reviews.engines.analyzers import ruff, secrets
from reviews.engines.analyzers.secret_formats import find_secrets
from reviews.engines.llm.findings import Remark, Remarks
from reviews.engines.llm.prompt import Change, document
from reviews.engines.secret_values import BLANK, SecretValues, blank, secret_values, without_secrets
from reviews.findings import Finding, Report, Severity, Suggestion, bounded
from reviews.github.patches import parse_hunks
from reviews.local import export
from reviews.local.terminal import show_report
from reviews.redaction import redact
from sandbox import Repository
from tests.support.runs import admit, only_check_run, run

_CHANCE = random.Random(7)
TOKEN = "ghp_" + "".join(_CHANCE.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789", k=36))
LINES = [base64.b64encode(_CHANCE.randbytes(48)).decode() for _ in range(6)] + ["q2Zy9w8Kxw=="]
KEY = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])
PARTS = (TOKEN, TOKEN[:20], TOKEN[20:], *LINES)


def leaks(text: str) -> list[str]:
    return [part for part in PARTS if part in text]


FILES: Mapping[str, str] = {
    "beside.py": f'import os; TOKEN = "{TOKEN}"\n',
    "key.py": f"import os  # {TOKEN}\nKEYS = {{'{TOKEN}': 1, '{TOKEN}': 2}}\n",
    "string.py": f'x = f"{TOKEN}"\nassert ("{TOKEN}", 1)\ny = "a" is "{TOKEN}"\n',
    "pem.py": f'import os\nKEY = """{KEY}"""\nassert ("""{KEY}""", 1)\n',
    "pem_lines.py": "KEY = (\n" + "".join(f"    '{line}\\n' 'x' 'y'\n" for line in KEY.split("\n")) + ")\nimport os\n",
    "parts.py": f'import os\nTOKEN = "{TOKEN[:20]}" + "{TOKEN[20:]}"; d = {{"{TOKEN[:20]}": 1, "{TOKEN[:20]}": 2}}\n',
    "broken.py": f'x = "{TOKEN}" y\n',
    "page.js": f'const a = {{ "{TOKEN}": 1, "{TOKEN}": 2 }};\nif (a === "{TOKEN}" === 1) {{ debugger; }}\n',
    "run.sh": f'#!/bin/sh\ncurl -H "token: {TOKEN}" $1\nT={TOKEN[:20]}"{TOKEN[20:]}"\n[ {TOKEN} > 3 ]\necho $T\n',
    "Dockerfile": f"FROM debian\nENV TOKEN={TOKEN}\nRUN curl {TOKEN} | sh\n",
    ".github/workflows/a.yml": f"on: push\njobs: {{a: {{env: {{T: {TOKEN}}}, runs-on: x, steps: [{{run: a}}]}}}}\n",
    "notes.md": f"We recieve {TOKEN} and it is seperate.\n",
}


def test_no_finding_of_any_engine_has_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        found, _, failures, _ = engines.run_analyzers(FILES)
    assert not failures
    engines_that_found = {finding.engine for finding in found}
    assert engines_that_found >= {"ruff", "oxlint", "shellcheck", "hadolint", "secrets", "typos"}
    assert {finding.path for finding in found if finding.engine == "secrets"} == set(FILES)
    assert any(BLANK in finding.message for finding in found if finding.engine == "ruff"), "ruff quotes keys"
    assert not leaks(repr(found))
    assert not leaks(caplog.text)


def test_no_export_of_a_report_has_a_secret() -> None:
    found, _, _, _ = engines.run_analyzers(FILES)
    report = Report(findings=tuple(found))
    printed = io.StringIO()
    show_report(Console(file=printed, width=500), report)
    for text in (json.dumps(report.to_json()), export.as_json(report), export.as_sarif(report), printed.getvalue()):
        assert not leaks(text)
    assert not leaks(export.as_annotations(report))


@pytest.mark.django_db
def test_a_published_review_has_no_secret(repo: Repository) -> None:
    pull = repo.open_pull_request(changes=dict(FILES), author="mona")
    review = run(admit(pull))

    assert review.conclusion == "success"
    assert "key.py" in {comment["path"] for comment in pull.review_comments}
    stored = [repr(row) for model in apps.get_models() for row in model._default_manager.values()]
    assert any("github-token" in row for row in stored)
    assert not leaks("".join(stored))
    # GitHub itself shows the code around a comment (`diff_hunk`).
    bodies = [posted["body"] for posted in (*pull.reviews, *pull.review_comments)]
    assert not leaks(repr([bodies, only_check_run(pull)["output"]]))


def test_only_the_suggestion_with_a_secret_is_dropped() -> None:
    files = {"a.py": f'import os; TOKEN = "{TOKEN}"\n', "b.py": "import os\n"}
    found, _, _, _ = engines.run_analyzers(files)
    by_path = {finding.path: finding for finding in found if finding.rule == "F401"}
    assert by_path["a.py"].suggestion is None
    assert by_path["b.py"].suggestion == Suggestion(1, 1, None)


def test_the_reason_of_a_failure_has_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quotes = ("sh", "-c", "read -r line < a.py; echo $line >&2; exit 3")
    monkeypatch.setattr(engines, "ANALYZERS", (Analyzer("quotes", ("*.py",), quotes, ruff.read),))
    with caplog.at_level(logging.INFO):
        _, _, [(_, reason)], _ = engines.run_analyzers({"a.py": f"TOKEN = '{TOKEN}'\n"})
    assert reason == f"it exited with status 3: TOKEN = '{BLANK}'"
    assert not leaks(caplog.text + str([record.__dict__ for record in caplog.records]))


@pytest.mark.parametrize(
    "text",
    [
        f'TOKEN = "{TOKEN}"',
        f'url = f"https://x:{TOKEN}@example.org/{{name}}"',
        f"# {TOKEN}",
        f"ENV TOKEN={TOKEN}",
        f"token: '{TOKEN}'",
        f'TOKEN = "{TOKEN[:20]}" "{TOKEN[20:]}"',
        f"TOKEN = ('{TOKEN[:20]}' +\n         f'{TOKEN[20:]}')",
        f"TOKEN = '{TOKEN[:20]}' \\\n  '{TOKEN[20:]}'",
        f'TOKEN={TOKEN[:20]}"{TOKEN[20:]}"',
        f"export TOKEN='{TOKEN[:20]}''{TOKEN[20:]}'",
        f'TOKEN = f"{TOKEN[:20]}" f"{TOKEN[20:]}"',
        f'TOKEN = b"{TOKEN[:20]}" b"{TOKEN[20:]}"',
        f'TOKEN = r"{TOKEN[:20]}" + rb"{TOKEN[20:]}"',
        f'TOKEN = $"{TOKEN[:20]}" + $"{TOKEN[20:]}"',
        f'TOKEN = ("{TOKEN[:20]}"  # it\'s the first half\n\n  "{TOKEN[20:]}")',
        f'char *token = "{TOKEN[:20]}" /* and */\n\n    "{TOKEN[20:]}";',
        f"TOKEN={TOKEN[:20]}\\\n{TOKEN[20:]}",
        f'token: "{TOKEN[:20]}\\\n  {TOKEN[20:]}"',
        f'const token = ["{TOKEN[:20]}", "{TOKEN[20:]}"].join("");',
        f"TOKEN = ''.join(['{TOKEN[:20]}', '{TOKEN[20:]}'])",
        f'const token = "{TOKEN[:20]}".concat(`{TOKEN[20:]}`);',
        f"token := '{TOKEN[:20]}' || '{TOKEN[20:]}'",
        f'TOKEN = "{TOKEN[:2]}" + "{TOKEN[2:20]}" + "{TOKEN[20:]}"',
        KEY,
        "key: |\n" + "".join(f"  {line}\n" for line in KEY.split("\n")),
        json.dumps({"key": KEY}),
        json.dumps(json.dumps({"key": KEY.replace("\n", "\r\n")})),
        "".join(f'    "{line}\\n"\n' for line in KEY.split("\n")),
        "\n".join(f"# {line}" for line in KEY.split("\n")),
        KEY.replace("\n", "\r\n"),
        KEY.partition("\n-----END")[0].rpartition("\n")[0],
        KEY.replace("RSA", "PGP")
        .replace("KEY-----", "KEY BLOCK-----")
        .replace("\n", "\nVersion: GnuPG v2.0.22\n\n", 1),
    ],
)
def test_a_secret_is_found_however_it_is_written(text: str) -> None:
    assert find_secrets("a.py", text)
    values = secret_values([text])
    assert not leaks("\n".join(blank(line, values) for line in text.split("\n")))
    cut = bounded(Finding("a", 1, 1, Severity.INFO, "R", "x" * 985 + TOKEN * 2))
    assert TOKEN[:9] not in without_secrets(cut, secret_values([TOKEN])).message


HEX = "0f3d9c7a1b5e8264" * 4
FORMS = [
    ("gitlab-token", "glpat-x7Kd92LmPq7Rt5Xw_3Zc"),
    ("gitlab-token", f"glrt-{TOKEN[4:36]}.01.{HEX[:7]}"),
    ("telegram-token", f"8193456720:AA{TOKEN[4:34]}_Zc"),
    ("sendgrid-key", f"SG.{TOKEN[4:26]}.{TOKEN[4:40]}_3Zc4Q-"),
    ("pypi-token", f"pypi-AgE{TOKEN[4:]}{TOKEN[4:]}_3Z"),
    ("openai-key", f"sk-proj-{TOKEN[4:]}T3BlbkFJ{TOKEN[4:]}V_b6Nh"),
    ("anthropic-key", f"sk-ant-api03-{TOKEN[4:]}{TOKEN[4:]}{TOKEN[4:]}_b6"),
    ("google-api-key", f"AIza{TOKEN[4:39]}"),
    ("slack-token", f"xapp-1-A01BC2DE3F4-1234098765432-{HEX}"),
    ("docker-token", f"dckr_pat_{TOKEN[4:31]}"),
    ("vault-token", f"hvs.{TOKEN[4:28]}"),
    ("vault-token", f"hvs.{(TOKEN[4:] * 3)[:91]}"),
    ("grafana-token", f"glsa_{TOKEN[4:36]}_{HEX[:8]}"),
    ("atlassian-token", f"ATATT3x{TOKEN[4:] * 5}=A1B2C3D4"),
    ("databricks-token", f"dapi{HEX[:32]}-2"),
    ("linear-key", f"lin_api_{TOKEN[4:]}Zc4Q"),
    ("planetscale-token", f"pscale_tkn_{TOKEN[4:]}_Zc4"),
    ("webhook-secret", f"whsec_{TOKEN[4:36]}"),
    ("rubygems-key", f"rubygems_{HEX[:48]}"),
    ("newrelic-key", f"NRAK-{TOKEN[4:31].upper()}"),
    ("discord-token", f"MTE4Njc0NTMyMDkxODI3MzY0NQ.GxYz3k.{TOKEN[4:]}_3"),
    ("discord-token", f"NDUyMzY3ODkwMTg3NjU0MzIx.XsyRkw.{TOKEN[4:31]}"),
    ("discord-webhook", f"discord.com/api/webhooks/1186745320918273645/{(TOKEN[4:] * 2)[:68]}"),
    ("twilio-key", f"SK{HEX[:32]}"),
    ("mailgun-key", f"key-{HEX[:32]}"),
    ("square-token", f"sq0atp-{TOKEN[4:26]}"),
    ("square-token", f"sq0csp-{TOKEN[4:]}_3Zc4Q-"),
    ("slack-webhook", f"hooks.slack.com/triggers/T01BC2DE3F4/1234098765432/{HEX[:32]}"),
    ("slack-token", f"xoxc-1234098765432-2340987654321-3409876543210-{HEX}"),
    ("gitlab-token", "glffct-x7Kd92LmPq7Rt5Xw_3Zc"),
    ("brevo-key", f"xkeysib-{HEX}-{TOKEN[4:20]}"),
    ("google-oauth-secret", f"GOCSPX-{TOKEN[4:31]}_"),
    ("groq-key", f"gsk_{TOKEN[4:]}{TOKEN[4:20]}"),
    ("notion-token", f"ntn_{'39170284650'}{TOKEN[4:39]}"),
    ("postman-key", f"PMAK-{HEX[:24]}-{HEX[:34]}"),
    ("pulumi-token", f"pul-{HEX[:40]}"),
    ("replicate-token", f"r8_{TOKEN[4:]}Z"),
    ("sentry-token", f"sntryu_{HEX}"),
    ("sentry-token", f"sntrys_eyJpYXQiO{TOKEN[4:] * 3}="),
    ("supabase-token", f"sbp_{HEX[:40]}"),
    ("tailscale-key", f"tskey-auth-{TOKEN[4:16]}CNTRL-{TOKEN[4:36]}"),
    ("terraform-token", f"{TOKEN[4:18]}.atlasv1.{(TOKEN[4:] * 2)[:67]}"),
    ("xai-key", f"xai-{(TOKEN[4:] * 3)[:80]}"),
    ("age-key", "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" + "QPZRY9X8GF2TVDW0S3JN54KHCE"),
]


@pytest.mark.parametrize(("form", "secret"), FORMS)
def test_a_secret_of_each_form_is_found_and_blanked(form: str, secret: str) -> None:
    for text in (f"T={secret}\n", f'f("{secret}")', f"url: https://a.example/?t={secret}&x"):
        assert [name for *_, name, _ in find_secrets("a.env", text)] == [form]
        assert secret[:-1] not in blank(text, secret_values([text]))


@pytest.mark.parametrize(
    ("form", "severity", "advice"),
    [
        (
            f"AKIA{TOKEN[4:20].upper().translate({56: 50, 57: 50})}",
            Severity.CRITICAL,
            "useless without the secret access key",
        ),
        (f"SK{HEX[:32]}", Severity.CRITICAL, "useless without the secret of the key"),
        (f"AIza{TOKEN[4:39]}", Severity.MINOR, "public by design"),
        (TOKEN, Severity.CRITICAL, "Anyone who can read the repository can use it"),
    ],
)
def test_a_message_says_what_the_secret_is_good_for(form: str, severity: Severity, advice: str) -> None:
    [finding] = run_analyzer(secrets.ANALYZER, {"a.env": f"T={form}\n"})
    assert (finding.severity, advice in finding.message) == (severity, True)


@pytest.mark.parametrize("slash", ["/", "%2F", "\\/"])
def test_a_signed_request_may_name_its_key(slash: str) -> None:
    """Its receiver must know which key it is; that it is half of a pair is nobody's concern there."""
    key = f"AKIA{TOKEN[4:20].upper().translate({56: 50, 57: 50})}"
    scope = slash.join(("20250508", "us-east-1", "s3", "aws4_request"))
    assert find_secrets("a.json", f"X-Amz-Credential={key}{slash}{scope}\n") == []
    assert [name for *_, name, _ in find_secrets("a.json", f"T={key}{slash}a\n")] == ["aws-access-key"]


def test_a_key_is_another_only_if_its_body_is() -> None:
    of_key, of_same, of_other, of_quoted = (
        find_secrets("a.pem", text)[0][1:]
        for text in (KEY, KEY.replace("\n", "\n    "), KEY.replace(LINES[4], LINES[5]), json.dumps(KEY))
    )
    assert of_key == of_same == (1, 8, *of_key[2:])
    assert (of_other == of_key, of_quoted) == (False, (1, 1, *of_key[2:]))


def test_values_that_overlap_are_blanked_as_a_whole() -> None:
    assert blank("ab12345678cdef", SecretValues(("b1234567", "12345678cdef"))) == f"a{BLANK}"
    assert blank("x ab1234567…", SecretValues(("ab12345678cd",))) == f"x {BLANK}…"


def test_what_only_looks_like_a_secret_stays() -> None:
    for text in (
        "class PrivateKeyReader: '-----BEGIN PRIVATE KEY-----' in text_of_the_file",
        "ghp_",
        "sk-learn",
        "a SG.",
        'PREFIXES = ["glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glcbt-"]',
        "hvs.computeTheHistogramOfAll(values)",
        "ghp_" + "x_" * 18,
        f"pubkey-{HEX[:32]} SKU{HEX[:32]} sq0idp-{TOKEN[4:26]}",
        f"module.member.{TOKEN[4:31]} MemberOfTheClass123456.method.{TOKEN[4:31]}",
    ):
        values = secret_values([text])
        assert (values, blank(text, values)) == (frozenset(), text)
        assert not find_secrets("a.py", text)


@pytest.mark.parametrize(
    "key",
    [
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    ],
    ids=["Azurite", "Cosmos DB"],
)
def test_a_key_that_every_emulator_has_is_public(key: str) -> None:
    assert not find_secrets("a.md", f"AccountName=dev;AccountKey={key};")
    assert find_secrets("a.md", f"AccountName=dev;AccountKey={key[::-1].strip('=')}==;")


def test_hostile_text_takes_little_time() -> None:
    # Each would take hours if a pattern backtracked over the whole text from each of its beginnings.
    pieces = (
        "sk-ant-",
        "T3BlbkFJ sk-",
        "-----BEGIN PRIVATE KEY-----\n",
        '"a" + ',
        "xoxb-1-",
        "glpat-",
        "a'b",
        '"#"/*"',
        "MTE4",
        "MTE4.",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n" + "Version: " * 1000,
    )
    for text in (*(piece * (300_000 // len(piece)) for piece in pieces), f'"ghp_"{" " * 300_000}+ 1'):
        assert secret_values([text]) == frozenset()
    assert redact("eyJ" * 300_000) == "eyJ" * 300_000


def test_thousands_of_secrets_on_a_line_take_little_time() -> None:
    tokens = [f"ghp_{number:05}{TOKEN[9:]}" for number in range(20_000)]
    assert len(find_secrets("a.py", " ".join(tokens))) == len(tokens)
    values = secret_values([" ".join(tokens)])
    assert {blank(f"use {token[:30]}…", values) for token in tokens[:5000]} == {f"use {BLANK}…"}


def test_no_prompt_has_a_secret() -> None:
    new = "".join(f"+{line}\n" for line in ["x = 1", f"TOKEN = '{TOKEN}'", *KEY.split("\n")])
    patch = f"@@ -0,0 +1,{new.count('+')} @@\n"
    count = len(new.splitlines())
    added = f"@@ -0,0 +1,{count} @@\n{new}"
    removed = f"@@ -1,{count} +0,0 @@\n" + "".join(f"-{line[1:]}\n" for line in new.splitlines())
    middle = f"@@ -5 +5 @@\n-{LINES[1]}\n+{LINES[2]}\n"
    text = "".join(f"{line[1:]}\n" for line in new.splitlines())
    changes = {
        "a.py": Change(text, added, parse_hunks(added)),
        "b.py": Change("", removed, parse_hunks(removed)),
        "c.py": Change(text + LINES[1], middle, parse_hunks(middle)),
    }
    prompt, included = document(changes, 100_000)
    assert included == tuple(changes)
    assert "x = 1" in prompt
    assert patch not in prompt
    assert not leaks(prompt)


def test_no_remark_of_the_language_model_has_a_secret() -> None:
    text = f"TOKEN = '{TOKEN}'\nx = 1\n"
    patch = f"@@ -1 +1,2 @@\n TOKEN = '{TOKEN}'\n+x = 1\n"
    changes = {"a.py": Change(text, patch, parse_hunks(patch))}
    remark = Remark(
        path="a.py",
        start_line=2,
        end_line=2,
        severity="major",
        message=f"`{TOKEN}` is set",
        suggestion=f"x = '{TOKEN}'",
    )
    findings, _ = llm.findings.findings_of(Remarks(remarks=[remark]), changes)
    reported = [without_secrets(finding, secret_values([text])) for finding in findings]
    assert [finding.suggestion for finding in reported] == [None]
    assert not leaks(repr([replace(finding, fingerprint="") for finding in reported]))
