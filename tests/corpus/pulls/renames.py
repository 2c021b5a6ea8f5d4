"""Files that are renamed, moved, copied and swapped: what only moves is nobody's change."""

from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request

LEGACY = code("""
    import os
    import sys


    def price(item):
        return item["price"]


    def discount(item, rate):
        try:
            return item["price"] * (1 - rate)
        except:
            return 0


    def tax(item, rate):
        return item["price"] * rate


    def total(items):
        result = 0
        for item in items:
            result += price(item)
        return result


    def label(item):
        return item["name"] + ": " + str(item["price"])
""")
"""With two unused imports and a bare except that have been there for long."""


@pull_request
def renamed_and_nothing_else(github: Sandbox) -> PullRequest:
    """A module gets another name; what is wrong in it was wrong before, and nothing is said."""
    repo = github.create_repository(files={"prices.py": LEGACY})
    return repo.open_pull_request("Call it pricing", renames={"prices.py": "shop/pricing.py"})


@pull_request
def renamed_and_changed(github: Sandbox) -> PullRequest:
    """A module moves and gets one new line, which is wrong: said is that line, and not the import of long ago."""
    repo = github.create_repository(files={"prices.py": LEGACY})
    return repo.open_pull_request(
        "Labels have a currency",
        renames={"prices.py": "shop/pricing.py"},
        changes={
            "shop/pricing.py": LEGACY.replace(
                'return item["name"] + ": " + str(item["price"])',
                'return item["name"] + ": " + format_currency(item["price"])',
            )
        },
    )


@pull_request
def renamed_in_case_only(github: Sandbox) -> PullRequest:
    """A name that differs in nothing but case is a rename like any other; the line that is new is looked at."""
    before = "class Shop:\n    def open(self):\n        return True\n\n    def close(self):\n        return False\n"
    repo = github.create_repository(files={"Shop.py": before})
    return repo.open_pull_request(
        "Modules in lower case",
        renames={"Shop.py": "shop.py"},
        changes={
            "shop.py": before + "\n    def owner(self):\n        return self.name if self.name is not '' else None\n"
        },
    )


@pull_request
def function_moved_to_another_file(github: Sandbox) -> PullRequest:
    """A function moves without the import that it needs: said. That the import is left behind is on no changed line."""
    repo = github.create_repository(
        files={
            "text.py": code("""
                import re


                def words(text):
                    return re.findall(r"\\w+", text)


                def shorten(text, length):
                    return text if len(text) <= length else text[: length - 1] + "…"
            """)
        }
    )
    return repo.open_pull_request(
        "Words have a module of their own",
        changes={
            "text.py": code("""
                import re


                def shorten(text, length):
                    return text if len(text) <= length else text[: length - 1] + "…"
            """),
            "words.py": code("""
                def words(text):
                    return re.findall(r"\\w+", text)
            """),
        },
    )


@pull_request
def copied_file(github: Sandbox) -> PullRequest:
    """A copy is new text: what was wrong in the original is wrong here again, and can be said before it is there."""
    repo = github.create_repository(files={"prices.py": LEGACY})
    return repo.open_pull_request("Prices for wholesale", changes={"wholesale.py": LEGACY.replace("item", "article")})
