"""Reviews for new authors and for the core team."""

import pytest

from reviews.publishing.markdown import HOW_TO_READ, WELCOME
from sandbox import PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, conclusion_and_title, only_check_run, run

pytestmark = pytest.mark.django_db

NIT = {"notes.py": "# On Mondays we recieve all of the goods.\n"}
MISTAKE = {"a.py": "print(missing)\n"}
KEPT_BACK = "1 finding of severity info hidden on a first contribution."
CHECK = "### Kodiai: 1 finding (1 info)"


def opened(repo: Repository, association: str, changes: dict[str, str]) -> PullRequest:
    return repo.open_pull_request(changes=changes, author="lisa", author_association=association)


def test_a_newcomer_is_welcomed_and_spared_what_can_wait(repo: Repository) -> None:
    pull = opened(repo, "FIRST_TIMER", NIT | MISTAKE)
    review = run(admit(pull))

    (posted,) = pull.reviews
    assert [comment["path"] for comment in posted["comments"]] == ["a.py"]
    assert posted["body"].startswith(f"### Kodiai: 1 finding (1 critical)\n\n{WELCOME} {HOW_TO_READ}\n\n")
    assert KEPT_BACK in posted["body"]
    assert "recieve" not in posted["body"]
    assert len(review.report["findings"]) == 2
    assert only_check_run(pull)["output"]["title"] == "1 finding (1 critical)"


def test_nits_are_hidden_from_a_newcomer_and_reported_once_known(repo: Repository) -> None:
    pull = opened(repo, "FIRST_TIMER", NIT)
    run(admit(pull))
    (posted,) = pull.reviews
    assert posted["body"].startswith(f"### Kodiai: no findings\n\n{WELCOME}\n\n- Analysed")
    assert (posted["comments"], KEPT_BACK in posted["body"]) == ([], True)
    assert only_check_run(pull)["conclusion"] == "success"
    pull.push({"notes.py": "# Done.\n"})
    run(admit(pull, "synchronize"))
    assert "gone" not in pull.reviews[0]["body"]
    pull.author_association = "MEMBER"
    pull.push({"notes.py": "# Done.\n", "more.py": NIT["notes.py"]})
    run(admit(pull, "synchronize"))
    assert pull.review_comments == []
    _, _, folded = pull.reviews[0]["body"].partition("<details><summary>1 finding of severity info</summary>")
    assert "more.py" in folded.partition("</details>")[0], pull.reviews[0]["body"]


def test_without_search_nobody_counts_as_a_newcomer(github: Sandbox, repo: Repository) -> None:
    github.limits["search"].exhaust(reset_in=60)
    pull = opened(repo, "NONE", NIT)

    assert run(admit(pull)).conclusion == Conclusion.PARTIAL
    assert conclusion_and_title(pull)[1].startswith("Partial review: ")
    assert "GitHub's Search limit was exhausted" in only_check_run(pull)["output"]["summary"]
    (posted,) = pull.reviews
    assert (CHECK in posted["body"], WELCOME in posted["body"]) == (True, False)
    assert "\n- Analysed" in posted["body"], "nor as one of the core"


def test_a_newcomer_sees_nits_that_fail_the_check(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "check:\n  fail_on: info\n"})
    pull = opened(repo, "FIRST_TIMER", NIT)
    run(admit(pull))

    assert "recieve" in pull.reviews[0]["body"]
    assert only_check_run(pull)["conclusion"] == "failure"


def test_one_of_the_core_gets_the_short_form(repo: Repository) -> None:
    repo.commit({"old.py": "import os\nimport sys\n"})
    pull = opened(
        repo, "MEMBER", MISTAKE | {"uv.lock": "", "old.py": "import os\nimport sys\n\nx = 1\n"} | {"a.csv": ""}
    )
    run(admit(pull))

    body, _, details = pull.reviews[0]["body"].partition("<details><summary>Details</summary>\n\n")
    assert body == (
        "### Kodiai: 1 finding (1 critical)\n\n"
        f"Analysed 2 of 4 changed files with ruff, secrets, typos, at commit {pull.head_sha[:12]}.\n\n"
    )
    assert details.startswith(
        "- 2 pre-existing findings not reported.\n- 2 files without a matching engine.\n\n</details>\n\n<!--"
    )
    assert "uppress" not in pull.review_comments[0]["body"]
