"""`ignore` and `explain`: what a command does to the finding in whose thread it stands."""

import pytest
from django.test import Client

from reviews.models import Delivery, IgnoredFinding
from reviews.publishing.markdown import IGNORED
from sandbox import PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.commands import answers, push_and_review, thread_on
from tests.support.published import check_reported_once
from tests.support.runs import admit, run, say
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db


F401 = "https://docs.astral.sh/ruff/rules/unused-import"


# ignore


def test_an_ignored_finding_is_counted_in_all_of_its_repository(
    github: Sandbox, pull: PullRequest, repo: Repository
) -> None:
    run(admit(pull))
    review = run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other = repo.open_pull_request(changes={"more.py": "import os\nimport sys\n"}, author="mona")
    elsewhere = github.create_repository("octo/other").open_pull_request(changes={"a.py": "import os\n"}, author="mona")

    run(admit(other))
    run(admit(elsewhere))

    assert review.conclusion_reason == "F401 is ignored from now on, as requested"
    assert [comment["body"].count("`sys`") for comment in other.review_comments] == [1]
    assert "### Kodiai: 1 finding" in other.reviews[0]["body"]
    assert "1 finding ignored on request (`ignore`)." in other.reviews[0]["body"]
    assert len(elsewhere.review_comments) == 1, "and not in another one"


def test_the_next_run_resolves_a_thread_ignored_elsewhere(pull: PullRequest, repo: Repository) -> None:
    other = repo.open_pull_request(changes={"more.py": "import os\n"}, author="mona")
    run(admit(other))
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other.push({"notes.csv": "1\n"})
    run(admit(other, "synchronize"))

    assert other.review_comments[0]["body"].startswith(IGNORED)
    assert "of earlier commits" not in other.reviews[0]["body"]


def test_two_people_who_ignore_the_same_leave_one_row(pull: PullRequest) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    run(say(pull, "@kodiai ignore", to=first))
    assert run(say(pull, "@kodiai ignore", by="octocat", to=first)).conclusion == Conclusion.SKIPPED

    (ignored,) = IgnoredFinding.objects.all()
    assert (ignored.repo, ignored.rule, ignored.path, ignored.ignored_by) == ("octo/demo", "F401", "shop.py", "mona")
    assert "`os` imported but unused" in ignored.message


def test_a_thread_that_a_person_resolved_stays_theirs(pull: PullRequest) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    said = [thread.first["body"] for thread in pull.threads]
    pull.resolve_thread(first, by="mona")
    run(say(pull, "@kodiai ignore", to=first))

    assert [thread.first["body"] for thread in pull.threads] == said
    assert IgnoredFinding.objects.count() == 1


def test_commands_work_after_their_report_was_removed(pull: PullRequest) -> None:
    run(admit(pull))
    Delivery.objects.all().delete()
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))
    assert answers(pull)[0].startswith("Nothing more is known")
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    assert IgnoredFinding.objects.get().rule == ""
    push_and_review(pull)
    assert "### Kodiai: 2 findings" in pull.reviews[-1]["body"]


def test_deleting_an_ignored_finding_reports_it_again(pull: PullRequest, admin_client: Client) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    ignored = IgnoredFinding.objects.get()
    page = admin_client.get("/admin/reviews/ignoredfinding/?q=octo/demo").content.decode()
    assert all(text in page for text in ("octo/demo", "F401", "imported but unused", "shop.py", "mona"))

    answer = admin_client.post(f"/admin/reviews/ignoredfinding/{ignored.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    push_and_review(pull, AFTER + "\n\nmore = 1\n")

    assert "### Kodiai: 3 findings" in pull.reviews[0]["body"]
    assert not any(IGNORED in thread.first["body"] for thread in pull.threads)
    check_reported_once([pull])


# explain


def test_explain_shows_the_rule_and_how_to_suppress_it(pull: PullRequest, repo: Repository) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))

    (answer,) = answers(pull)
    assert answer.startswith(f"**minor** · [`F401`]({F401}) `os` imported but unused")
    assert "reply `@kodiai ignore` here" in answer
    assert '`severities: {rules: {"F401": never}}` in `.kodiai.yml`' in answer
    assert "suggestion" not in answer
    # That line is valid configuration.
    line = answer.partition("in the whole repository: `")[2].partition("`")[0]
    repo.commit({".kodiai.yml": f"{line}\n"})
    push_and_review(pull)
    assert "1 finding suppressed by `.kodiai.yml`." in pull.reviews[0]["body"]


@pytest.mark.parametrize("command", ["ignore", "explain"])
@pytest.mark.parametrize("where", ["in the conversation", "in a thread of somebody else"])
def test_a_command_about_a_finding_must_be_in_its_thread(pull: PullRequest, command: str, where: str) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    if where == "in a thread of somebody else":
        # Whoever it is can copy the hidden end of Kodiai's comment.
        next(thread for thread in pull.threads if thread.first["id"] == first).first["user"] = {"login": "mona"}
    run(say(pull, f"@kodiai {command}", to=None if where == "in the conversation" else first))

    (answer,) = answers(pull)
    assert answer.startswith(f"`@kodiai {command}` works only as a reply to Kodiai's comment")
    assert not IgnoredFinding.objects.exists()
