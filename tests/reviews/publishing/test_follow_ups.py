"""Later reviews of a pull request: a finding is reported once, whatever is pushed, and there is one summary.

Scenarios in which a thread is resolved run twice: with an App that may not resolve threads, as by default, and edits
its comments instead, and, most of them in the slow tier, with one that may.
"""

import re

import pytest
from pytest_django import Settings

from reviews.models import Review
from reviews.publishing.markdown import IGNORED, RESOLVED
from sandbox import PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.published import check_reported_once
from tests.support.runs import admit, run, say
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

UNUSED, UNDEFINED, DUPLICATE = "shop.py F401", "shop.py F821", "shop.py B033"
FIXED = AFTER.replace("import os\n\n\n", "")
"""Without what ruff calls F401."""


@pytest.fixture(params=[pytest.param("may resolve", marks=pytest.mark.slow), "may only edit"])
def closed(request: pytest.FixtureRequest, github: Sandbox, settings: Settings) -> str:
    """How a thread stands that Kodiai closed."""
    if request.param == "may only edit":
        return "gone"
    settings.KODIAI_RESOLVE_THREADS = True
    github.permissions["contents"] = "write"
    return "resolved by kodiai[bot]"


in_both_ways = pytest.mark.parametrize("closed", ["may resolve", "may only edit"], indirect=True)


def review(pull: PullRequest, action: str = "synchronize") -> None:
    """Let the pull request be reviewed as it is now; check what always holds."""
    assert run(admit(pull, action)).conclusion == Conclusion.SUCCESS
    check_reported_once([pull])


def state_of(pull: PullRequest) -> dict[str, str]:
    """How each thread of Kodiai stands, by file and rule; with its line, where there are several of a rule."""
    states: dict[str, str] = {}
    for thread in pull.threads:
        first = thread.first
        rule = re.search(r"`([A-Z]+\d+)`", first["body"])
        assert rule
        name = f"{first['path']} {rule[1]}"
        put_away = {RESOLVED: "gone", IGNORED: "ignored"}
        state = next((state for head, state in put_away.items() if first["body"].startswith(head)), "open")
        states[name if name not in states else f"{name} at {first['original_line']}"] = (
            state if thread.resolved_by is None else f"resolved by {thread.resolved_by}"
        )
    return states


def test_move_code(repo: Repository) -> None:
    """The message of F811 quotes the number of another line, which moves too."""
    code = "def label(price):\n    return price\n\n\ndef label(price, tax):\n    return price + tax\n"
    pull = repo.open_pull_request(changes={"label.py": code}, author="mona")
    review(pull, "opened")
    assert "from line 1" in pull.review_comments[0]["body"]
    pull.push({"label.py": "VERSION = 1\n\n\n" + code})
    review(pull)

    assert state_of(pull) == {"label.py F811": "open"}
    assert len(pull.reviews) == 1


@pytest.mark.parametrize("is_new", [True, False], ids=["a file of the pull request", "a file of the base"])
def test_rename_the_file(repo: Repository, closed: str, is_new: bool) -> None:
    long = "".join(f"line_{number} = {number}\n" for number in range(40))
    if not is_new:
        repo.commit({"old.py": long})
    pull = repo.open_pull_request(changes={"old.py": f"import os\n{long}"}, author="mona")
    review(pull, "opened")
    pull.push(renames={"old.py": "new.py"})
    assert [file.previous_path for file in pull.files()] == [None if is_new else "old.py"]
    review(pull)
    assert state_of(pull) == {"old.py F401": "open"}
    fingerprints = {kept.report["findings"][0]["fingerprint"] for kept in Review.objects.all()}
    assert len(fingerprints) == (2 if is_new else 1), "a file keeps the name that it has in the base"

    pull.push({"new.py": long + "last = 1\n"})
    review(pull)
    assert state_of(pull) == {"old.py F401": closed}
    assert len(pull.reviews) == 1


def test_force_push(pull: PullRequest, closed: str) -> None:
    review(pull, "opened")
    pull.force_push({"shop.py": FIXED, "more.py": "import sys\n"})
    review(pull)

    assert state_of(pull) == {UNUSED: closed, UNDEFINED: "open", DUPLICATE: "open", "more.py F401": "open"}
    summary, follow_up = pull.reviews
    before = pull.commits[0][:7]
    assert follow_up["body"].partition("\n\n<!--")[0] == (
        f"1 new finding since `{before}`: the [summary]({summary['html_url']}) is up to date."
    )
    assert [comment["path"] for comment in follow_up["comments"]] == ["more.py"]
    assert "### Kodiai: 3 findings (1 critical, 2 minor)" in summary["body"]


def test_rebase(pull: PullRequest, repo: Repository) -> None:
    review(pull, "opened")
    repo.commit({"other.py": "import sys\n"})
    pull.rebase()
    review(pull)

    assert state_of(pull) == {UNUSED: "open", UNDEFINED: "open", DUPLICATE: "open"}
    assert len(pull.reviews) == 1


def test_revert(pull: PullRequest, closed: str) -> None:
    review(pull, "opened")
    pull.push({"shop.py": pull.repository.store.blob(before_of(pull)), "logo.png": b"\0\1"})
    assert [file.path for file in pull.files()] == ["logo.png"]
    review(pull)

    assert state_of(pull) == {UNUSED: closed, UNDEFINED: closed, DUPLICATE: closed}
    (summary,) = pull.reviews
    assert "nothing to analyse" in summary["body"]
    assert "3 earlier findings resolved" in summary["body"]


@in_both_ways
def test_fix_one_of_three_and_reintroduce_it(pull: PullRequest, closed: str) -> None:
    review(pull, "opened")
    bodies = [comment["body"] for comment in pull.review_comments]
    pull.push({"shop.py": FIXED})
    review(pull)

    assert state_of(pull) == {UNUSED: closed, UNDEFINED: "open", DUPLICATE: "open"}
    (summary,) = pull.reviews
    assert "### Kodiai: 2 findings (1 critical, 1 minor)" in summary["body"]
    assert "1 earlier finding resolved" in summary["body"]
    assert f"at commit {pull.head_sha[:12]}" in summary["body"]

    pull.push({"shop.py": AFTER})
    review(pull)

    assert state_of(pull) == {UNUSED: "open", UNDEFINED: "open", DUPLICATE: "open"}
    assert [comment["body"] for comment in pull.review_comments] == bodies
    (summary,) = pull.reviews
    assert "### Kodiai: 3 findings" in summary["body"]
    assert "gone" not in summary["body"]


def test_resolve_by_hand(pull: PullRequest) -> None:
    """What a person resolved stays as it is: while it is there, when it is gone, and when it is back."""
    review(pull, "opened")
    first = next(comment for comment in pull.review_comments if "F401" in comment["body"])
    said = first["body"]
    pull.resolve_thread(first["id"], by="mona")
    for code in (f"{AFTER}\n\nmore = 1\n", FIXED, AFTER):
        pull.push({"shop.py": code})
        review(pull)

        assert state_of(pull) == {UNUSED: "resolved by mona", UNDEFINED: "open", DUPLICATE: "open"}
        assert first["body"] == said
    assert len(pull.reviews) == 1


@in_both_ways
def test_ignore(pull: PullRequest, closed: str) -> None:
    """What somebody ignores in a reply is never said again: its thread is closed at once, and stays so."""
    review(pull, "opened")
    first = next(thread.first["id"] for thread in pull.threads if "F401" in thread.first["body"])
    assert run(say(pull, "@kodiai ignore", to=first)).conclusion == Conclusion.SKIPPED
    state = "ignored" if closed == "gone" else closed
    assert state_of(pull) == {UNUSED: state, UNDEFINED: "open", DUPLICATE: "open"}
    for code in (f"{AFTER}\n\nmore = 1\n", FIXED, AFTER):
        pull.push({"shop.py": code})
        review(pull)

        assert state_of(pull) == {UNUSED: state, UNDEFINED: "open", DUPLICATE: "open"}
        assert "### Kodiai: 2 findings (1 critical, 1 minor)" in pull.reviews[0]["body"]
    assert "1 finding ignored on request" in pull.reviews[0]["body"]
    assert "of earlier commits" not in pull.reviews[0]["body"]
    assert len(pull.reviews) == 1


def test_the_same_finding_in_two_files(pull: PullRequest, closed: str) -> None:
    review(pull, "opened")
    pull.push({"copy.py": AFTER})
    review(pull)
    copies = {"copy.py F401": "open", "copy.py F821": "open", "copy.py B033": "open"}
    assert state_of(pull) == {UNUSED: "open", UNDEFINED: "open", DUPLICATE: "open"} | copies

    pull.push({"shop.py": FIXED})
    review(pull)
    assert state_of(pull) == {UNUSED: closed, UNDEFINED: "open", DUPLICATE: "open"} | copies
    assert [len(posted["comments"]) for posted in pull.reviews] == [3, 3]


# Equal findings on equal lines of one file

EQUAL = "def {name}():\n    return missing\n\n\n"


def equal(*names: str) -> str:
    return "".join(EQUAL.format(name=name) for name in names)


def test_of_equal_findings_the_fixed_ones_thread_is_resolved(repo: Repository, closed: str) -> None:
    # With a suggestion for each, so that each has a comment.
    code = equal("one", "two", "three").replace("missing", '{"price", "price"}')
    pull = repo.open_pull_request(changes={"a.py": code}, author="mona")
    review(pull, "opened")
    pull.push({"a.py": code.replace('{"price", "price"}', "1", 1)})
    review(pull)

    assert [comment["original_line"] for comment in pull.review_comments] == [2, 6, 10]
    assert list(state_of(pull).values()) == [closed, "open", "open"]


def test_one_more_equal_finding_is_reported_on_its_line(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": equal("one")}, author="mona")
    review(pull, "opened")
    pull.push({"a.py": equal("zero", "one")})
    review(pull)

    assert [(comment["original_line"], comment["commit_id"]) for comment in pull.review_comments] == [
        (2, pull.commits[0]),
        (2, pull.head_sha),
    ]
    assert list(state_of(pull).values()) == ["open", "open"]


# Equal findings that are one comment


def fixed(code: str, *which: int) -> str:
    """The code without its findings of these numbers, from 0."""
    lines = code.split("\n")
    found = [number for number, line in enumerate(lines) if "missing" in line]
    for number in which:
        lines[found[number]] = "    return 1"
    return "\n".join(lines)


def test_a_grouped_comment_stands_until_all_are_fixed(repo: Repository, closed: str) -> None:
    code = equal("one", "two", "three")
    pull = repo.open_pull_request(changes={"a.py": code}, author="mona")
    review(pull, "opened")
    (comment,) = pull.review_comments
    said = comment["body"]
    assert (comment["original_line"], "Also on L6, L10." in said) == (2, True)
    (summary,) = pull.reviews
    assert "### Kodiai: 3 findings (3 critical)" in summary["body"]
    assert "a.py:" not in summary["body"], "it is said already"

    for which, state in (((0,), "open"), ((0, 2), "open"), ((0, 1, 2), closed), ((), "open")):
        pull.push({"a.py": fixed(code, *which)})
        review(pull)
        assert list(state_of(pull).values()) == [state], which
        left = 3 - len(which)
        assert (f"### Kodiai: {left} finding" in summary["body"]) == bool(left), which
        assert "a.py:" not in summary["body"], "what stands is said on its line"
    assert comment["body"] == said
    assert len(pull.reviews) == 1


def test_ignoring_a_grouped_comment_ignores_all_of_it(repo: Repository, closed: str) -> None:
    code = "def f():\n    return 1 == missing\n\n\ndef g():\n    return 2, missing\n"
    pull = repo.open_pull_request(changes={"shop.py": code}, author="mona")
    review(pull, "opened")
    [thread] = pull.threads
    assert "Also on L6." in thread.first["body"]
    run(say(pull, "@kodiai ignore", to=thread.first["id"]))
    pull.push({"shop.py": f"x = 1\n\n\n{code}"})
    review(pull)

    assert list(state_of(pull).values()) == ["ignored" if closed == "gone" else closed]
    assert "### Kodiai: no findings" in pull.reviews[0]["body"]
    assert "2 findings ignored on request" in pull.reviews[0]["body"]


def test_a_grouped_finding_that_returns_is_reported(repo: Repository, closed: str) -> None:
    code = equal("one", "two", "three")
    pull = repo.open_pull_request(changes={"a.py": code}, author="mona")
    review(pull, "opened")
    for which in ((0, 1, 2), (0, 2), ()):
        pull.push({"a.py": fixed(code, *which)})
        review(pull)

    (comment,), (summary,) = pull.review_comments, pull.reviews
    assert list(state_of(pull).values()) == ["open"]
    assert "### Kodiai: 3 findings" in summary["body"]
    # A comment that was marked as gone shows, when it is opened, what is back then.
    shown = comment["body"] if closed != "gone" else summary["body"]
    assert "L10" in shown
    assert ("a.py:" in summary["body"]) == (closed == "gone")


def test_a_grouped_finding_is_not_repeated_from_github_alone(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": equal("one", "two", "three")}, author="mona")
    review(pull, "opened")
    Review.objects.update(report=None)
    pull.push({"a.py": equal("one", "two", "three") + "VERSION = 1\n"})
    review(pull)
    assert len(pull.review_comments) == len(pull.reviews) == 1

    pull.push({"a.py": equal("one", "two", "three", "four")})
    review(pull)
    assert [comment["original_line"] for comment in pull.review_comments] == [2, 14]
    assert "The same" not in pull.review_comments[1]["body"]


def before_of(pull: PullRequest) -> str:
    return pull.repository.store.tree(pull.base_sha)["shop.py"].oid


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "settled",
    [
        {".kodiai.yml": "severities: {rules: {F401: never}}\n"},
        {".kodiai.yml": "severities: {lowest: major}\n"},
        {".kodiai.yml": "engines: {disable: [ruff]}\n"},
        {"ruff.toml": "lint.ignore = ['F401']\n"},
        {"a.py": "import os\n\nx = 1\n"},
    ],
    ids=["a rule", "a threshold", "an engine", "ruff's settings", "the same line"],
)
def test_what_is_only_reported_no_more_is_not_resolved(repo: Repository, settled: dict[str, str]) -> None:
    """The base settles it, and nobody has touched the line."""
    repo.commit({"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\n\nx = 1\n"}, author="mona")
    run(admit(pull))
    repo.commit(settled)
    pull.push({"b.md": "Nothing of it.\n"})

    run(admit(pull, "synchronize"))

    (comment,) = pull.review_comments
    assert not comment["body"].startswith(RESOLVED)
    assert "resolved" not in pull.reviews[0]["body"]

    repo.commit({path: None for path in settled if path != "a.py"})
    pull.push({"a.py": "x = 1\ny = 1\n"})
    run(admit(pull, "synchronize"))
    assert pull.review_comments[0]["body"].startswith(RESOLVED)
