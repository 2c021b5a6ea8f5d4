"""Write `.env.example` and the table of docs/configuration.md from the declarations: `make settings`."""

import textwrap
from pathlib import Path

from kodiai.configuration.declarations import SETTINGS, Section, Setting
from kodiai.configuration.kinds import Secret

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE, PAGE = ROOT / ".env.example", ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: written by `make settings` -->\n", "<!-- end of settings -->\n"
WIDTH = 118


def env_example() -> str:
    """Return the text of `.env.example`."""
    secrets = ", ".join(setting.name for setting in SETTINGS if setting.secret)
    intro = (
        "Kodiai's settings, written by `make settings`. Copy this file to .env, or set the names in the environment, "
        "which takes precedence. An empty value is the default. Durations take units: 60, 60s, 1m, 1h, 30d. "
        f"Each secret ({secrets}) can come from a file: NAME_FILE=/path/to/it. "
        "docs/security.md says what each of them opens and how to rotate it."
    )
    parts = [_comment(intro)]
    for section in Section:
        parts.append(f"# --- {section} ".ljust(WIDTH, "-") + "\n")
        parts += [_entry(setting) for setting in SETTINGS if setting.section is section]
    return "\n".join(parts)


def table() -> str:
    """Return the table of all settings in Markdown."""
    rows = ["| setting | value | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join(rows + [_row(setting) for setting in SETTINGS]) + "\n"


def page(text: str) -> str:
    """Return docs/configuration.md with the present table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(setting: Setting) -> str:
    name = f"`{setting.name}`" + (", or `…_FILE`" if setting.secret else "")
    return f"| {name} | {_cell(setting.kind.description)} | {_default(setting)} | {_cell(setting.says)} |"


def _entry(setting: Setting) -> str:
    lines = [_comment(setting.says)]
    facts = [] if isinstance(setting.kind, Secret) else [f"Value: {setting.kind.description}."]
    if setting.default == "":
        facts.append(f"Not set: {setting.without}.")
    if facts:
        lines.append(_comment(" ".join(facts)))
    assignment = f"{setting.name}={setting.default or ''}\n"
    if setting.best_as_file:
        lines.append(f"{setting.name}_FILE=\n")
    commented = "" if setting.section is Section.NEEDED and not setting.best_as_file else "#"
    return "".join([*lines, commented + assignment])


def _comment(text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    ) + "\n"  # fmt: skip


def _default(setting: Setting) -> str:
    if setting.default is None:
        return "none: required"
    return f"`{setting.default}`" if setting.default else _cell(setting.without)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<slug>", "`<slug>`")


if __name__ == "__main__":
    EXAMPLE.write_text(env_example(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
