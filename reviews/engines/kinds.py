"""Kinds of text files by name, and of scripts by their first line."""

import re

PROSE = ("*.md", "*.markdown", "*.mdx", "*.rst", "*.adoc", "*.txt", "README", "CHANGELOG", "CONTRIBUTING")

SOURCE = (
    *("*.py", "*.pyi", "*.pyw", "*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx"),
    *("*.vue", "*.svelte", "*.astro"),
    *("*.go", "*.rs", "*.java", "*.kt", "*.scala", "*.swift", "*.dart", "*.c", "*.h", "*.cc", "*.cpp", "*.hpp", "*.cs"),
    *("*.rb", "*.php", "*.pl", "*.lua", "*.ex", "*.exs", "*.erl", "*.hs", "*.r", "*.R", "*.jl", "*.sql", "*.graphql"),
    *("*.sh", "*.bash", "*.ps1", "*.html", "*.css", "*.scss", "*.less", "*.proto", "Dockerfile", "Makefile"),
)

SETTINGS = (
    *("*.json", "*.yml", "*.yaml", "*.toml", "*.ini", "*.cfg", "*.conf", "*.properties", "*.xml", "*.plist"),
    *(".env", ".env.*", "*.env", "*.tf", "*.tfvars", ".npmrc", ".pypirc", ".netrc", "*.pem", "*.key", "id_*"),
)

_SHEBANG = re.compile(r"#![ \t]*+(?:\S*/env[ \t]++(?:(?:-\S+|\w+=\S*)[ \t]++)*+)?([^\s]{1,200})(?:[ \t]+(\w+))?")
"""Options and variables of `env` come before the program. Source: GNU coreutils manual, "env invocation"."""


def may_be_script(path: str) -> bool:
    """Return whether a file has no suffix, so that its first line says which program runs it."""
    return "." not in path.rpartition("/")[2]


def interpreter(text: str) -> str:
    """The program that runs a script by its shebang, in small letters, without directory and version, or empty."""
    found = _SHEBANG.match(text)
    if found is None:
        return ""
    name = found[1].rpartition("/")[2].lower()
    # BusyBox is named before the program that it stands for.
    return re.sub(r"[\d.]+$", "", (found[2] or name) if name == "busybox" else name)
