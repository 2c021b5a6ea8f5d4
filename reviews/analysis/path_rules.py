"""Detect generated, vendored and lock files, which are not reviewed, and match path patterns."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

HEADER_LINES = 5
"""Lines at the top of a file that may have a generator's header."""

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
"""Anywhere in a path. Source: linguist's vendored paths, as far as the name is unambiguous."""
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
    *("gradlew", "*/gradlew", "mvnw", "*/mvnw"),
)
_GENERATED_HEADER = re.compile(r"@generated\b|\b(?:auto-?)?generated\b.*\bdo not (?:edit|modify)\b", re.IGNORECASE)


def is_generated_path(path: str) -> bool:
    """Return whether a path is that of a lock file, a vendored or a generated file."""
    *directories, name = path.split("/")
    return name in _LOCK_FILES or not _VENDORED_DIRECTORIES.isdisjoint(directories) or matches(path, _GENERATED_NAMES)


def has_generated_header(text: str) -> bool:
    """Return whether a file has a generator's header ("generated … do not edit", "@generated")."""
    head = text[:2000].split("\n", HEADER_LINES)[:HEADER_LINES]
    return any(_GENERATED_HEADER.search(line) for line in head)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path matches one of the patterns.

    `*` matches any text and `?` any character, slashes included. A pattern with a trailing slash matches everything in
    a directory. A leading slash has no effect. fnmatch does not backtrack, so that no pattern is slow.
    """
    return any(fnmatchcase(path, _whole(pattern)) for pattern in patterns)


def named(path: str, names: Iterable[str]) -> bool:
    """Return whether the file name of a path matches one of `names`."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in names)


def _whole(pattern: str) -> str:
    pattern = pattern.removeprefix("/")
    return f"{pattern}*" if pattern.endswith("/") else pattern
