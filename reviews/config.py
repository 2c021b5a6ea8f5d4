"""`.kodiai.yml`: what a repository may settle for itself. Read from the base branch, never from the pull request."""

from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

PATH = ".kodiai.yml"
LARGEST = 64 * 1024
"""Characters. More is not read."""
DEEPEST = 20
"""Levels of lists and mappings within each other."""


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
    """YAML's safe subset without aliases: with them a file of some lines expands to gigabytes.

    Without tags, which make PyYAML read a text as what it is not and fail in a dozen ways. Without repeated keys,
    of which a reader would see the one and Kodiai obey the other.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _unsupported("aliases", event)
        if getattr(event, "tag", None) is not None:
            raise _unsupported("tags", event)
        if self.depth == DEEPEST:
            raise _unsupported(f"more than {DEEPEST} levels", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(names) > len(set(names)):
            raise _unsupported("repeated keys", node)
        return super().construct_mapping(node, deep)


def _unsupported(what: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"{what} are not supported", problem_mark=place.start_mark)


def parse(text: str | None) -> RepositoryConfig:
    """Read a configuration. A broken section falls back to its default and is named; nothing is ever raised."""
    if text is None:
        return RepositoryConfig()
    if len(text) > LARGEST:
        return RepositoryConfig(problems=(f"`{PATH}` is longer than {LARGEST} characters and was not read.",))
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # ValueError and OverflowError: dates that no calendar has, numbers that no machine has.
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
