"""`.kodiai.yml`: what a repository may settle for itself. Read from the base branch, never from the pull request."""

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

PATH = ".kodiai.yml"
MAX_CHARACTERS = 64 * 1024
"""Characters. More is not read."""
MAX_DEPTH = 20
"""Levels of lists and mappings within each other."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/:@*()-]{1,100}$")]
Pattern = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]
"""A pattern of paths, see `reviews.analysis.path_rules.matches`: `docs/`, `*.sql`, `api/*/generated.py`."""


class Section(BaseModel):
    """One section of the file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TelemetrySection(Section):
    """`telemetry:` what Kodiai records about its own runs."""

    enabled: bool = Field(default=True, description="false: runs of this repository leave no telemetry rows.")


class EnginesSection(Section):
    """`engines:` who looks at the changed files."""

    disable: list[Name] = Field(
        default=[], max_length=50, description="Names of engines that do not run, as the summary tells them."
    )


class PathsSection(Section):
    """`paths:` which changed files are looked at."""

    ignore: list[Pattern] = Field(
        default=[],
        max_length=100,
        description="Files that are not looked at: docs/ is all in a directory, * stands for any text, slashes too.",
    )
    generated: bool = Field(
        default=False,
        description="true: generated and vendored files and lock files are looked at too.",
    )


class SeveritiesSection(Section):
    """`severities:` what a rule's findings weigh here, and which are not said at all."""

    rules: dict[Name, Literal["critical", "major", "minor", "info", "never"]] = Field(
        default={},
        max_length=200,
        description="Rule, as a comment names it, to severity, or never: it is not said.",
    )
    lowest: Literal["critical", "major", "minor", "info"] = Field(
        default="info", description="Findings below this severity are not said."
    )


class LimitsSection(Section):
    """`limits:` how much is said, and how much is looked at."""

    comments: int = Field(
        default=10,
        ge=0,
        le=50,
        description="Inline comments of one review, the most severe first; the others are in the summary.",
    )
    files: int = Field(
        default=300,
        ge=1,
        le=3000,
        description="Files that one review looks at, the riskiest first; the others are named.",
    )
    lines: int = Field(
        default=30_000, ge=1, le=1_000_000, description="Changed lines that one review looks at, in the same order."
    )


class TriggersSection(Section):
    """`triggers:` what starts a review. Who asks for Kodiai by name gets one in any case."""

    actions: list[Literal["opened", "reopened", "ready_for_review", "synchronize", "review_requested"]] = Field(
        default=["opened", "reopened", "ready_for_review", "synchronize", "review_requested"],
        description="Actions of pull_request events; synchronize is a push.",
    )


class CheckSection(Section):
    """`check:` what the check run says to branch protection."""

    fail_on: Literal["critical", "major", "minor", "info", "never"] = Field(
        default="never", description="Findings of this severity or a higher one make the check run fail."
    )


class Sections(Section):
    """Settings of a repository for Kodiai: `.kodiai.yml` on the base branch."""

    telemetry: TelemetrySection = TelemetrySection()
    engines: EnginesSection = EnginesSection()
    paths: PathsSection = PathsSection()
    severities: SeveritiesSection = SeveritiesSection()
    limits: LimitsSection = LimitsSection()
    triggers: TriggersSection = TriggersSection()
    check: CheckSection = CheckSection()


class RepositoryConfig(Sections):
    """A validated configuration; `problems` says what of the file was not used, one sentence each."""

    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults, as it is stored on the `Review` row."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"problems"})

    @staticmethod
    def from_json(data: dict[str, Any] | None) -> "RepositoryConfig":
        return RepositoryConfig.model_validate(data or {})


_SECTIONS: dict[str, Any] = {name: field.annotation for name, field in Sections.model_fields.items()}
_NAMES = {name for section in _SECTIONS.values() for name in section.model_fields}


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors. Published as `docs/kodiai.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Sections.model_json_schema(),
        "title": "Kodiai: .kodiai.yml",
    }


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
        if self.depth == MAX_DEPTH:
            raise _unsupported(f"more than {MAX_DEPTH} levels", event)
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
    if len(text) > MAX_CHARACTERS:
        return RepositoryConfig(problems=(f"`{PATH}` is longer than {MAX_CHARACTERS} characters and was not read.",))
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
    ours = [str(part) if isinstance(part, int) or part in _NAMES else "…" for part in detail["loc"]]
    place = ".".join(ours) if detail["type"] != "extra_forbidden" else "an unknown key"
    # pydantic would show the regular expression, which says less.
    what = "not of the form that is wanted" if detail["type"] == "string_pattern_mismatch" else detail["msg"]
    return f"{place}: {what}" if place else what


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
