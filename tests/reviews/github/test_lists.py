"""Lists of GitHub: every page, and patches that a crowded page leaves out."""

from typing import Any

import pytest

from reviews.findings import LeftOutReason, Report
from reviews.github.client import Client
from reviews.github.errors import Unavailable
from reviews.models import Review
from reviews.publishing.markdown import RESOLVED
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_review, webhook_payload
from telemetry.models import Conclusion
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

UNUSED = "import os\n"


def count_wrongly(github: Sandbox, pull: PullRequest, count: object) -> None:
    """Let GitHub say a wrong number of changed files from now on."""
    github.clear_faults()
    answer = webhook_payload(pull, "opened")["pull_request"] | {"changed_files": count}
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=answer), times=None)


def files(pull: PullRequest, count: int | None = None) -> list[str]:
    with Client(pull.repository.full_name, pull.repository.installation_id) as client:
        return [file.path for file in client.changed_files(pull.number, count)]


def left_out(review: Review) -> dict[str, LeftOutReason]:
    return {left.path: left.reason for left in Report.from_json(review.report).left_out}


def test_every_call_names_its_version_and_its_sender(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))

    assert {call.headers["x-github-api-version"] for call in github.calls} == {"2022-11-28"}
    assert {call.headers["user-agent"] for call in github.calls} == {"Kodiai"}


# Pages


@pytest.mark.sampled(1)
@pytest.mark.parametrize("count", [0, None, 5000], ids=repr)
def test_the_last_page_is_read_whatever_github_counts(github: Sandbox, repo: Repository, count: object) -> None:
    pull = repo.open_pull_request(changes={f"m{n:03}.txt": "a\n" for n in range(150)} | {"z.py": UNUSED})
    run(admit(pull))
    assert len(pull.review_comments) == 1

    pull.push({"m000.txt": "b\n"})
    count_wrongly(github, pull, count)
    review = run(admit(pull, "synchronize"))

    report = Report.from_json(review.report)
    assert (report.changed_files, report.truncated) == (151, count is not None)
    assert not pull.review_comments[0]["body"].startswith(RESOLVED)
    says_so = "GitHub lists 151 changed files, and maybe not all" in pull.reviews[0]["body"]
    assert says_so is report.truncated


def test_a_page_that_comes_twice_is_no_other_page(github: Sandbox, repo: Repository) -> None:
    """As many entries as GitHub counts, but half of them twice: the other half was not read."""
    names = [f"m{number}.txt" for number in range(4)]
    pull = repo.open_pull_request(changes=dict.fromkeys(names, "a\n"))
    page(github, *names[:2], link='<{api}/repositories/1/pulls/1/files?page=2>; rel="next"')
    page(github, *names[:2])

    report = Report.from_json(run(admit(pull)).report)

    assert report.truncated
    assert "and maybe not all" in pull.reviews[0]["body"]


def test_what_a_list_of_another_length_lacks_is_not_resolved(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    pull.push({"more.txt": "a\n"})
    github.fail("files", Fault(FaultKind.WRONG_JSON, body=[{"filename": "more.txt", "status": "added"}]))
    run(admit(pull, "synchronize"))

    assert not any(comment["body"].startswith(RESOLVED) for comment in pull.review_comments)
    assert "nothing absent counts as resolved" in pull.reviews[0]["body"]


@pytest.mark.parametrize(("number", "count", "calls"), [(99, None, 1), (100, 100, 1), (100, None, 2), (101, 101, 2)])
def test_the_links_end_a_list(github: Sandbox, repo: Repository, number: int, count: int | None, calls: int) -> None:
    pull = repo.open_pull_request(changes={f"m{n:03}.txt": "a\n" for n in range(number)})

    assert len(files(pull, count)) == number
    assert github.count("files") == calls


def page(github: Sandbox, *names: str, link: str = "") -> None:
    body = [{"filename": name, "status": "added"} for name in names]
    headers = {"Link": link.replace("{api}", github.url)} if link else {}
    github.fail("files", Fault(FaultKind.WRONG_JSON, body=body, headers=headers))


@pytest.mark.parametrize("host", ["{api}", "https://elsewhere.example"])
def test_a_short_page_with_a_link_is_followed_on_the_same_host(github: Sandbox, pull: PullRequest, host: str) -> None:
    page(github, "a.py", link=f'<{host}/repositories/1/pulls/1/files?per_page=7&page=3>; rel="next"')
    page(github, "b.py", link=f'<{host}/repositories/1/pulls/1/files?page=1>; rel="prev"')

    assert files(pull) == ["a.py", "b.py"]
    calls = [(call.path, call.query) for call in github.calls if call.route == "files"]
    assert calls[1] == (f"/repos/octo/demo/pulls/{pull.number}/files", {"per_page": "7", "page": "3"})


def test_an_endless_list_ends(github: Sandbox, pull: PullRequest) -> None:
    for number in (2, 3, 2):
        page(github, "a.py", link=f'<{{api}}/files?page={number}>; rel="next"')
    with pytest.raises(Unavailable, match="circular"):
        files(pull)

    page(github, link='<{api}/files?page=2>; rel="next"')
    assert files(pull) == []
    for broken in ('<http://[>; rel="next"', "nonsense", '<>; rel="next"'):
        page(github, "a.py", link=broken)
        assert files(pull) == ["a.py"]


def test_reviews_are_read_page_by_page(github: Sandbox, pull: PullRequest) -> None:
    for number in range(100):
        add_review(pull, "mona", str(number))
    with Client("octo/demo", pull.repository.installation_id) as client:
        assert len(list(client.reviews(pull.number))) == 100
        assert github.count("list_reviews") == 2

        add_review(pull, "mona", "the last")
        assert [review.body for review in client.reviews(pull.number)][-1] == "the last"


# Patches


def test_a_patch_left_out_of_a_crowded_page_is_requested_again(github: Sandbox, repo: Repository) -> None:
    changes = {f"m{n:02}.py": "x = 1\n" * 50 + UNUSED for n in range(12)}
    repo.commit(dict.fromkeys(changes, "x = 1\n"))
    pull = repo.open_pull_request(changes=changes, author="mona")
    pull.max_page_lines = 5 * 52
    review = run(admit(pull))

    assert len(Report.from_json(review.report).findings) == 12
    assert left_out(review) == {}
    # Pages of ten, then of one for what these leave out.
    assert [call.query["per_page"] for call in github.calls if call.route == "files"] == ["100", "10", "10", *["1"] * 5]


def test_a_patch_that_github_never_shows_is_named(github: Sandbox, repo: Repository) -> None:
    repo.commit({"a.py": "x = 1\n", "huge.py": "y = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "x = 1\n" + UNUSED, "huge.py": "z = 1\n" * 30}, author="mona")
    pull.max_page_lines = 0
    review = run(admit(pull))

    assert left_out(review) == dict.fromkeys(("a.py", "huge.py"), LeftOutReason.NO_DIFF)
    assert "2 files not reviewed, because GitHub shows no diff: `a.py`, `huge.py`." in pull.reviews[0]["body"]
    assert "2 files not reviewed" in repo.check_runs[0]["output"]["summary"]
    assert github.count("files") == 4


def test_a_file_over_githubs_limit_is_named_without_a_call(github: Sandbox, repo: Repository) -> None:
    repo.commit({"huge.py": "y = 1\n"})
    pull = repo.open_pull_request(changes={"huge.py": "z = 1\n" * 4000, "a.py": UNUSED}, author="mona")
    review = run(admit(pull))

    assert left_out(review) == {"huge.py": LeftOutReason.NO_DIFF}
    assert review.conclusion == Conclusion.SUCCESS
    assert "1 file not reviewed, because GitHub shows no diff: `huge.py`." in pull.reviews[0]["body"]
    assert github.count("files") == 1


@pytest.mark.parametrize(
    "changes", [{"__init__.py": ""}, {"image.png": b"\x89PNG\0"}, {"a.py": None}], ids=["empty", "binary", "removed"]
)
def test_files_that_have_no_patch_cost_no_call(github: Sandbox, repo: Repository, changes: dict[str, Any]) -> None:
    repo.commit({"a.py": "x = 1\n"})
    run(admit(repo.open_pull_request(changes=changes, author="mona")))

    assert github.count("files") == 1


def test_the_calls_for_patches_are_bounded(github: Sandbox, repo: Repository) -> None:
    changes = {f"m{n:03}.py": f"{n}\n" for n in range(150)}
    pull = repo.open_pull_request(changes=changes, author="mona")
    pull.max_page_lines = 0
    review = run(admit(pull))

    assert github.count("files") == 2 + 10 + 10
    assert len(left_out(review)) == 150
    assert "150 files not reviewed" in pull.reviews[0]["body"]
