"""Pull requests whose history is more than one commit on the newest base: what counts is how they stand now."""

from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request

CART = code("""
    class Cart:
        def __init__(self):
            self.items = []

        def add(self, item):
            self.items.append(item)

        def total(self):
            return sum(item.price for item in self.items)
""")
WITH_DEFAULT = CART.replace("def __init__(self):", "def __init__(self, items=[]):").replace("= []\n", "= items\n")
WITH_COUNT = CART + code("""

    def count(cart):
        return len(cart.items)
""")


@pull_request
def force_pushed_to_something_else(github: Sandbox) -> PullRequest:
    """What was wrong at first was pushed away. What is there instead ends in the middle: said on its last line."""
    repo = github.create_repository(files={"cart.py": CART})
    pull = repo.open_pull_request("Carts can be filled", changes={"cart.py": WITH_DEFAULT, "junk.py": "import os\n"})
    pull.force_push({"cart.py": CART.replace("item.price for", "item.cost for") + "\n\nEMPTY = Cart(\n"})
    return pull


@pull_request
def corrected_by_a_second_push(github: Sandbox) -> PullRequest:
    """The second commit takes back what was wrong in the first: nothing may be said of it."""
    repo = github.create_repository(files={"cart.py": CART})
    pull = repo.open_pull_request("Count the items", changes={"cart.py": WITH_DEFAULT})
    pull.push({"cart.py": WITH_COUNT}, message="Default arguments are shared, so no list")
    return pull


@pull_request
def revert_of_a_merged_change(github: Sandbox) -> PullRequest:
    """A revert brings back a line that a linter minds. It is a changed line, and it is said."""
    repo = github.create_repository(files={"cart.py": WITH_DEFAULT})
    repo.commit({"cart.py": WITH_COUNT}, message="No shared default, and a count")
    return repo.open_pull_request(
        'Revert "No shared default, and a count"',
        "This reverts the last commit: the count is wrong for bundles.",
        changes={"cart.py": WITH_DEFAULT},
    )


@pull_request
def everything_taken_back(github: Sandbox) -> PullRequest:
    """The last push takes all of it back, and nothing is changed any more."""
    repo = github.create_repository(files={"cart.py": CART})
    pull = repo.open_pull_request("Carts can be filled", changes={"cart.py": WITH_DEFAULT})
    pull.push({"cart.py": CART}, message="Not yet")
    return pull


@pull_request
def base_branch_merged_in(github: Sandbox) -> PullRequest:
    """The base branch brought an unused import; merged in, it is still not this pull request's."""
    repo = github.create_repository(files={"cart.py": CART, "stock.py": "STOCK = {}\n"})
    pull = repo.open_pull_request("Count the items", changes={"cart.py": WITH_COUNT})
    repo.commit({"stock.py": "import json\n\nSTOCK = {}\n", "new.py": "import os\n"})
    pull.merge_base_branch()
    pull.push({"cart.py": WITH_COUNT + "\n\nimport json\n"})
    return pull


@pull_request
def rebased_onto_the_base_branch(github: Sandbox) -> PullRequest:
    """Two commits are made anew on a base that moved on in the same file; the lines are counted as they are now."""
    repo = github.create_repository(files={"cart.py": CART})
    pull = repo.open_pull_request("Count the items", changes={"cart.py": WITH_COUNT})
    pull.push({"cart.py": WITH_COUNT.replace("len(cart.items)", "len(items)")})
    repo.commit({"cart.py": '"""Carts."""\n\nfrom decimal import Decimal\n\n\n' + CART})
    pull.rebase()
    return pull


@pull_request
def base_branch_moved_on(github: Sandbox) -> PullRequest:
    """The base branch moved on and nobody merged it: compared is with where the branch began."""
    repo = github.create_repository(files={"cart.py": CART, "stock.py": "STOCK = {}\n"})
    pull = repo.open_pull_request("Count the items", changes={"cart.py": WITH_COUNT + "x = f'none'\n"})
    repo.commit({"stock.py": "import os\n", "cart.py": "import sys\n\n" + CART})
    return pull


@pull_request
def against_a_release_branch(github: Sandbox) -> PullRequest:
    """The base is a release branch: what main has and the branch has not is no change, and what is new is looked at."""
    repo = github.create_repository(files={"cart.py": CART})
    repo.branches["release-1"] = repo.head_sha
    repo.commit({"cart.py": "import os\n\n" + CART, "more.py": "import sys\n"})
    return repo.open_pull_request(
        "Backport: count the items",
        base_ref="release-1",
        changes={"cart.py": WITH_COUNT.replace("len(cart.items)", "len(self.items)")},
    )


@pull_request
def from_the_fork_of_a_newcomer(github: Sandbox) -> PullRequest:
    """Somebody's first contribution: a welcome, the one remark that matters, and not the misspelling in a comment."""
    repo = github.create_repository(files={"cart.py": CART})
    return repo.open_pull_request(
        "Fix typo in total",
        author="newcomer",
        author_association="FIRST_TIME_CONTRIBUTOR",
        fork=True,
        changes={
            "cart.py": CART.replace(
                "return sum(item.price for item in self.items)", "return sum(i.price for item in self.items)"
            )
            + "# The items that we recieve are kept in the order of their prices.\n"
        },
    )


@pull_request
def from_somebody_of_the_core(github: Sandbox) -> PullRequest:
    """The same from somebody with fifty merged pull requests: no welcome."""
    repo = github.create_repository(files={"cart.py": CART})
    github.merged_pull_requests["octo/demo", "oldhand"] = 50
    return repo.open_pull_request(
        "Count what is in a cart",
        author="oldhand",
        author_association="MEMBER",
        changes={"cart.py": WITH_COUNT.replace("return len", "import os\n\n    return len")},
    )
