"""`.kodiai.yml`: what a repository may settle for itself. Read from the base branch, never from the pull request."""

from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

PATH = ".kodiai.yml"
LARGEST = 64 * 1024
"""Characters. More is not read."""


class TelemetrySection(BaseModel):
    """`telemetry:`; `enabled: false` means that runs of this repository leave no telemetry rows."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    enabled: bool = True


@dataclass(frozen=True)
class RepositoryConfig:
    """A validated configuration; `problems` says what of the file was not used, one sentence each."""

    telemetry: TelemetrySection = field(default_factory=TelemetrySection)
    problems: tuple[str, ...] = ()


_SECTIONS: dict[str, type[BaseModel]] = {"telemetry": TelemetrySection}


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without aliases: with them a file of some lines expands to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        return super().compose_node(parent, index)


def parse(text: str | None) -> RepositoryConfig:
    """Read a configuration. A broken section falls back to its default and is named; nothing is ever raised."""
    if text is None:
        return RepositoryConfig()
    if len(text) > LARGEST:
        return RepositoryConfig(problems=(f"`{PATH}` is longer than {LARGEST} characters and was not read.",))
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return RepositoryConfig(problems=(f"`{PATH}` is not valid YAML{_place(error)}; the defaults were used.",))
    if document is None:
        return RepositoryConfig()
    if not isinstance(document, dict):
        return RepositoryConfig(problems=(f"`{PATH}` is not a mapping of sections; the defaults were used.",))
    sections: dict[str, Any] = {}
    problems = []
    for name, content in document.items():
        if name not in _SECTIONS:
            known = ", ".join(f"`{section}`" for section in _SECTIONS)
            problems.append(f"`{PATH}` has a section that Kodiai does not know; it knows {known}.")
            continue
        try:
            sections[name] = _SECTIONS[name].model_validate({} if content is None else content)
        except ValidationError as error:
            what = "; ".join(_complaint(detail) for detail in error.errors()[:3])
            problems.append(f"Section `{name}` of `{PATH}` is not valid ({what}); its defaults were used.")
    return RepositoryConfig(**sections, problems=tuple(dict.fromkeys(problems)))


def _complaint(detail: Any) -> str:
    # Names of the file's own are not repeated: they are a stranger's text, and the message says enough.
    place = ".".join(str(part) for part in detail["loc"]) if detail["type"] != "extra_forbidden" else "an unknown key"
    return f"{place}: {detail['msg']}" if place else detail["msg"]


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
