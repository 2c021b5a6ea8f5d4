"""Pull requests with many files, and with many remarks."""

from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request


def _model(name: str, body: str = "") -> str:
    return (
        code(f"""
        from dataclasses import dataclass


        @dataclass(frozen=True)
        class {name}:
            number: int
            name: str

            def __str__(self):
                return f"{{self.name}} ({{self.number}})"
    """)
        + body
    )


@pull_request
def ten_files(github: Sandbox) -> PullRequest:
    """Ten files as a feature has them, with one thing wrong in two of them."""
    names = ("Customer", "Order", "Invoice", "Payment", "Refund", "Parcel", "Carrier", "Address", "Country", "Currency")
    changes = {f"models/{name.lower()}.py": _model(name) for name in names}
    changes["models/order.py"] += "\n\ndef newest(orders):\n    return max(orders, key=lambda order: ordr.number)\n"
    changes["models/refund.py"] += "\n\ndef refund(payment, reasons=[]):\n    return payment, reasons\n"
    return github.create_repository().open_pull_request("Models of the shop", changes=changes)


@pull_request
def three_hundred_files(github: Sandbox) -> PullRequest:
    """Three hundred files in three pages, one in fifty with something wrong: all are looked at, all of it is said."""
    changes = {
        f"models/part{number // 50}/model{number:03}.py": _model(
            f"Model{number:03}", "\n\nEMPTY = Model(0, 'none')\n" if number % 50 == 25 else ""
        )
        for number in range(300)
    }
    return github.create_repository().open_pull_request("A model for each table", changes=changes)


@pull_request
def many_findings(github: Sandbox) -> PullRequest:
    """Forty-two remarks: the most severe stand on their lines, the others in the summary, none is lost."""
    names = ("ast", "bz2", "cmd", "csv", "dis", "io", "json", "os", "re", "sys")
    imports = "".join(f"import {name}\n" for name in names)
    check = "value, seen=[]):\n    try:\n        return value == None\n    except:\n        return seen\n"
    checks = "".join(f"\n\ndef check_{number}({check}" for number in range(10))
    ending = "\n\nprint(check_0(undefined_value))\nraise NotImplemented\n"
    return github.create_repository().open_pull_request("Checks", changes={"checks.py": imports + checks + ending})


@pull_request
def same_remark_on_many_lines(github: Sandbox) -> PullRequest:
    """One habit, fifteen times."""
    steps = "".join(f'    print(f"now at step {number}")\n    work({number})\n' for number in range(15))
    text = "def work(number):\n    return number\n\n\ndef main():\n" + steps
    return github.create_repository().open_pull_request("Tell what is done", changes={"steps.py": text})
