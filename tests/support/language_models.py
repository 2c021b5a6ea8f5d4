"""What the tests of the language model share; the fixture `model` is in `conftest.py`."""

from typing import Any

KEY = "sk-key-of-the-language-model-1a2b3c4d"


def remark(line: int, **values: Any) -> dict[str, Any]:
    """A remark on one line of `shop.py`, as a model gives it."""
    given = {
        "path": "shop.py",
        "start_line": line,
        "end_line": line,
        "severity": "major",
        "message": "The price is not shown: this is the word `price`.",
    }
    return given | values
