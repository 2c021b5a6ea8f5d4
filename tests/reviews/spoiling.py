"""Documents that are in order but for a few places, of which parsers are made to read every kind."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in parts for place in ((*path, key), *places(part, (*path, key)))]


@st.composite
def spoilt(draw: st.DrawFn, document: Any, texts: st.SearchStrategy[str] | None = None, most: int = 3) -> Any:
    """A copy of a document in which up to `most` places are missing, doubled, or hold something else.

    Mostly a number becomes another number and a text another of `texts`: what has another type fails at once.
    """
    texts = st.text(max_size=8) if texts is None else texts
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(0, most))):
        if not (everywhere := places(document)):
            break
        leaves = [place for place in everywhere if not isinstance(_at(document, place), dict | list)]
        *path, last = draw(st.sampled_from(leaves if leaves and draw(st.integers(0, 7)) else everywhere))
        inner, before = _at(document, path), _at(document, (*path, last))
        alike = {int: st.integers(-1, 9), str: texts}.get(type(before), json_values)
        match draw(st.sampled_from(["else"] * 6 + ["missing", "doubled"])):
            case "missing":
                del inner[last]
            case "doubled" if isinstance(inner, list):
                inner.append(inner[last])
            case _:
                inner[last] = draw(alike if draw(st.integers(0, 7)) else json_values)
    return document


def _at(document: Any, path: Sequence[Any]) -> Any:
    for key in path:
        document = document[key]
    return document
