"""What Kodiai asks of GitHub, held to GitHub's own OpenAPI description. Not part of the suite: `make openapi`.

The description is 13 MB, so it is not kept here: `npm install @octokit/openapi` has it, and `KODIAI_TEST_OPENAPI` says
where. GraphQL is not in it.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from jsonschema import Draft202012Validator

from reviews.github.app import AppClient
from sandbox import Call, Fault, FaultKind, Sandbox, webhook_payload
from tests.corpus import pulls as pulls
from tests.corpus.declarations import DECLARED
from tests.support.runs import admit, run, say

ASKED = ("payment-service", "three-hundred-files", "names-in-many-scripts", "many-findings", "submodules")
"""Pull requests of the corpus over which Kodiai's calls are recorded."""
NOT_DESCRIBED = {("POST", "/graphql")}

Json = dict[str, Any]


@cache
def description() -> Json:
    return json.loads(Path(os.environ["KODIAI_TEST_OPENAPI"]).read_bytes())


@pytest.mark.django_db
@pytest.mark.parametrize("name", ASKED)
def test_every_request_is_as_github_describes_it(github: Sandbox, name: str) -> None:
    pull = DECLARED[name].opened(github)
    github.reset_calls()
    run(admit(pull))

    calls = [call for call in github.calls if (call.method, call.path) not in NOT_DESCRIBED]
    assert {"installation_token", "pull", "files", "contents", "search", "create_review"} <= {
        call.route for call in calls
    }
    assert [complaint for call in calls for complaint in complaints(call)] == []


@pytest.mark.django_db
def test_so_is_what_a_follow_up_asks(github: Sandbox) -> None:
    pull = DECLARED["payment-service"].opened(github)
    run(admit(pull))
    github.reset_calls()
    pull.push({"payments/models.py": "import os\n"})
    run(admit(pull, "synchronize"))

    calls = [call for call in github.calls if (call.method, call.path) not in NOT_DESCRIBED]
    assert {"update_review", "create_review"} <= {call.route for call in calls}
    assert [complaint for call in calls for complaint in complaints(call)] == []


@pytest.mark.django_db
def test_so_is_what_commands_ask(github: Sandbox) -> None:
    """In the conversation and in a thread, and looking for an answer of one's own in both."""
    pull = DECLARED["payment-service"].opened(github)
    pull.repository.roles["mona"] = "write"
    run(admit(pull))
    github.reset_calls()
    for route, to in (("create_comment", None), ("reply", pull.threads[0].first["id"])):
        github.fail(route, Fault(FaultKind.APPLIED_THEN_RESET))
        delivery = say(pull, "@kodiai explain", to=to)
        run(delivery)
        run(delivery)

    calls = [call for call in github.calls if (call.method, call.path) not in NOT_DESCRIBED]
    asked = {"permission", "react", "react_on_lines", "create_comment", "reply", "list_comments", "review_comments"}
    assert asked <= {call.route for call in calls}
    for call in calls:
        # The description calls them required, and says at `in_reply_to` that they are ignored beside it.
        ignored = ("commit_id", "path") if call.route == "reply" else ()
        expected = [f"{call.path}: '{name}' is a required property" for name in ignored]
        assert list(complaints(call)) == expected


@pytest.mark.django_db
def test_so_is_what_is_asked_when_something_went_wrong(github: Sandbox) -> None:
    """Looking for a review of one's own, files one by one, deliveries, sending one again."""
    pull = DECLARED["payment-service"].opened(github)
    github.graphql_available = False
    github.reject_line("payments/gateway.py", 19)
    github.send_webhook("http://127.0.0.1:9/nobody", "pull_request", webhook_payload(pull, "opened"))
    github.reset_calls()
    run(admit(pull))
    with AppClient() as app:
        app.installation_of("octo/demo")
        [delivery] = app.hook_deliveries(since=timezone.now() - timedelta(days=1))
        app.redeliver(delivery.id)

    calls = [call for call in github.calls if (call.method, call.path) not in NOT_DESCRIBED]
    assert {"list_reviews", "contents", "hook_deliveries", "redeliver", "repository_installation"} <= {
        call.route for call in calls
    }
    assert [complaint for call in calls for complaint in complaints(call)] == []


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (("GET", "/repos/o/d/pulls/1/file", {}, None), "is not described"),
        (("GET", "/repos/o/d/pulls/one", {}, None), "pull_number"),
        (("GET", "/repos/o/d/pulls/1/files", {"per_page": "many"}, None), "per_page"),
        (("GET", "/repos/o/d/pulls/1/files", {"perpage": "1"}, None), "perpage"),
        (("GET", "/search/issues", {}, None), "q is missing"),
        (("POST", "/repos/o/d/pulls/1/reviews", {}, {"event": "COMENT"}), "COMENT"),
        (("POST", "/repos/o/d/pulls/1/reviews", {}, {"comments": [{"path": "a.py"}]}), "'body' is a required"),
        (("POST", "/repos/o/d/pulls/1/reviews", {}, {"commit": "0"}), "commit"),
    ],
)
def test_a_request_that_is_not_as_described_is_noticed(call: tuple[str, str, Any, Any], complaint: str) -> None:
    method, path, query, body = call
    [said] = complaints(Call(method, "", path, query, 200, 0, body))
    assert complaint in said


def complaints(call: Call) -> Iterator[str]:
    """What of a request is not as it is described: its address, its parameters, its body."""
    found = _operation(call.method, call.path)
    if found is None:
        yield f"{call.method} {call.path} is not described"
        return
    operation, shared, in_path = found
    declared = {
        (each["in"], each["name"]): each for each in map(_resolved, (*shared, *operation.get("parameters", ())))
    }
    for place, given in (("path", in_path), ("query", call.query)):
        for name, text in given.items():
            parameter = declared.get((place, name))
            if parameter is None:
                yield f"{call.path}: {name} is no parameter of its {place}"
            else:
                yield from _against(parameter["schema"], _typed(text, parameter["schema"]), f"{call.path}: {name}")
    for (place, name), parameter in declared.items():
        if place == "query" and parameter.get("required") and name not in call.query:
            yield f"{call.path}: {name} is missing"
    described = _resolved(operation.get("requestBody", {}))
    if call.body is not None:
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            yield f"{call.path}: a body where none is described"
        else:
            yield from _against(schema, call.body, call.path)
    elif described.get("required"):
        yield f"{call.path}: the body is missing"


def _operation(method: str, path: str) -> tuple[Json, list[Json], Mapping[str, str]] | None:
    """The operation of a request, the parameters of its address, and what they are. Of several the most literal."""
    candidates = []
    for template, operations in description()["paths"].items():
        if method.lower() in operations:
            # Only the path of a file may hold slashes.
            pattern = re.sub(r"\\\{(\w+)\\\}", lambda name: f"(?P<{name[1]}>{_part(name[1])})", re.escape(template))
            if match := re.fullmatch(pattern, path, re.DOTALL):
                item = operations[method.lower()], operations.get("parameters", []), match.groupdict()
                candidates.append((template.count("{"), template, item))
    return min(candidates)[2] if candidates else None


def _part(name: str) -> str:
    return ".+" if name == "path" else "[^/]+"


def _typed(text: str, schema: Json) -> Any:
    """A parameter as JSON would have it: a number where a number is described and given."""
    kind = _resolved(schema).get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _against(schema: Json, value: Any, where: str) -> Iterator[str]:
    for error in Draft202012Validator(_strict(schema)).iter_errors(value):
        yield f"{where}: {error.message}"


def _resolved(part: Json) -> Json:
    """What a reference stands for."""
    while "$ref" in part:
        steps = part["$ref"].removeprefix("#/").split("/")
        part = description()
        for step in steps:
            part = part[step.replace("~1", "/").replace("~0", "~")]
    return part


def _strict(schema: Json) -> Json:
    """A schema without references, in which an object has no other properties than those that are described."""
    schema = dict(_resolved(schema))
    if "properties" in schema:
        schema["properties"] = {name: _strict(part) for name, part in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    if "items" in schema:
        schema["items"] = _strict(schema["items"])
    for several in ("oneOf", "anyOf"):
        if several in schema:
            schema[several] = [_strict(part) for part in schema[several]]
    return schema
