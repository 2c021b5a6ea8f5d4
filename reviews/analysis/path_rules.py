"""Which changed files nobody wrote: generated and vendored files and lock files, on which a remark helps nobody."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

GENERATED_WITHIN = 5
"""Lines from the top in which a generator says that it made the file."""

_LOCK_FILES = frozenset(
    (
        "bun.lock",
        "Cargo.lock",
        "composer.lock",
        "flake.lock",
        "Gemfile.lock",
        "go.sum",
        "gradle.lockfile",
        "mix.lock",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "packages.lock.json",
        "pdm.lock",
        "Pipfile.lock",
        "pixi.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "Podfile.lock",
        "pubspec.lock",
        "pylock.toml",
        "uv.lock",
        "yarn.lock",
        ".terraform.lock.hcl",
    )
)
_VENDORED_DIRECTORIES = frozenset(
    (
        "node_modules",
        "bower_components",
        "vendor",
        "third_party",
        "third-party",
        "thirdparty",
        "Godeps",
        "site-packages",
        ".venv",
        "Pods",
        "Carthage",
    )
)
"""Anywhere in a path. Source: what linguist takes for vendored, as far as the name leaves no doubt."""
_GENERATED_NAMES = (
    "*.min.js",
    "*.min.mjs",
    "*.min.css",
    "*.bundle.js",
    "*.map",
    "*_pb2.py",
    "*_pb2.pyi",
    "*_pb2_grpc.py",
    "*.pb.go",
    "*.pb.cc",
    "*.pb.h",
    "*_generated.*",
    "*.generated.*",
    "*.g.dart",
    "*.freezed.dart",
    "*.designer.cs",
    "*.snap",
    ".yarn/releases/*",
    "*/.yarn/releases/*",
    ".pnp.cjs",
    "*/.pnp.cjs",
)
_SAYS_SO = re.compile(r"@generated\b|\b(?:auto-?)?generated\b.*\bdo not (?:edit|modify)\b", re.IGNORECASE)


def is_generated_path(path: str) -> bool:
    """Tell by its path whether a file is a lock file, vendored or generated."""
    *directories, name = path.split("/")
    return name in _LOCK_FILES or not _VENDORED_DIRECTORIES.isdisjoint(directories) or matches(path, _GENERATED_NAMES)


def has_generated_header(text: str) -> bool:
    """Tell whether the head of a file says that a generator made it ("generated … do not edit", "@generated")."""
    head = text[:2000].split("\n", GENERATED_WITHIN)[:GENERATED_WITHIN]
    return any(_SAYS_SO.search(line) for line in head)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether a path matches one of the patterns.

    `*` and `?` stand for any text and any character, slashes too; a pattern that ends in a slash for all that is in a
    directory; a slash at the beginning changes nothing. The standard library matches them without going back, so that
    no pattern takes more than the length of the path times its own.
    """
    return any(fnmatchcase(path, _whole(pattern)) for pattern in patterns)


def named(path: str, names: Iterable[str]) -> bool:
    """Tell whether the name of a file, whatever its directory, matches one of `names`."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in names)


def _whole(pattern: str) -> str:
    pattern = pattern.removeprefix("/")
    return f"{pattern}*" if pattern.endswith("/") else pattern
