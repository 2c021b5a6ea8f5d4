"""The pull requests of the corpus, by subject. To import this is to declare them."""

from tests.corpus.pulls import (
    clean,
    configuration,
    encodings,
    history,
    hostile,
    kinds,
    languages,
    large,
    realistic,
    renames,
)

__all__ = [
    "clean",
    "configuration",
    "encodings",
    "history",
    "hostile",
    "kinds",
    "languages",
    "large",
    "realistic",
    "renames",
]
