"""Repository configuration: `.kodiai.yml`, read from the base branch and never from the pull request."""

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

PATH = ".kodiai.yml"
MAX_CHARACTERS = 64 * 1024
"""Characters. More is not read."""
MAX_DEPTH = 20
"""Levels of nested lists and mappings."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/:@*()-]{1,100}$")]
Pattern = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]
"""A path pattern, see `reviews.analysis.path_rules.matches`: `docs/`, `*.sql`, `api/*/generated.py`."""


class Section(BaseModel):
    """A section of the file; unknown keys and wrong types are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TelemetrySection(Section):
    """`telemetry:` what Kodiai records about its runs."""

    enabled: bool = Field(default=True, description="false: runs of this repository leave no telemetry rows.")


class EnginesSection(Section):
    """`engines:` which engines analyse the changed files."""

    disable: list[Name] = Field(
        default=[], max_length=50, description="Names of engines to disable, as the summary lists them."
    )


class PathsSection(Section):
    """`paths:` which changed files are analysed."""

    ignore: list[Pattern] = Field(
        default=[],
        max_length=100,
        description="Files to ignore: docs/ matches a whole directory, * matches any text, slashes included.",
    )
    generated: bool = Field(
        default=False,
        description="true: analyse generated, vendored and lock files too.",
    )


class SeveritiesSection(Section):
    """`severities:` severities of rules, and which findings are not reported."""

    rules: dict[Name, Literal["critical", "major", "minor", "info", "never"]] = Field(
        default={},
        max_length=200,
        description="Severity by rule, as named in comments; never: do not report the rule.",
    )
    lowest: Literal["critical", "major", "minor", "info"] = Field(
        default="info", description="Findings below this severity are not reported."
    )


class LimitsSection(Section):
    """`limits:` how much is analysed and commented."""

    comments: int = Field(
        default=10,
        ge=0,
        le=50,
        description="Inline comments per review, most severe first; the summary lists the others.",
    )
    files: int = Field(
        default=300,
        ge=1,
        le=3000,
        description="Files analysed per review, riskiest first; the summary lists the others.",
    )
    lines: int = Field(
        default=30_000, ge=1, le=1_000_000, description="Changed lines analysed per review, in the same order."
    )


class TriggersSection(Section):
    """`triggers:` which pull requests are reviewed, and when. A mention or a requested review always starts one.

    Labels, titles, authors and branches are patterns: * matches any text and ? any character; case does not matter.
    """

    actions: list[Literal["opened", "reopened", "ready_for_review", "synchronize", "review_requested"]] = Field(
        default=["opened", "reopened", "ready_for_review", "synchronize", "review_requested"],
        description="Actions of pull_request events; synchronize is a push.",
    )
    ignore_labels: list[Pattern] = Field(
        default=[], max_length=50, description="Pull requests with such a label are not reviewed: wip, release-*."
    )
    ignore_titles: list[Pattern] = Field(
        default=[], max_length=50, description="Pull requests with such a title are not reviewed: WIP:*."
    )
    ignore_authors: list[Pattern] = Field(
        default=[], max_length=50, description="Pull requests of these logins are not reviewed: renovate[bot]."
    )
    base_branches: list[Pattern] = Field(
        default=[],
        max_length=50,
        description="Only pull requests into these branches are reviewed: main, release/*. Empty: into any.",
    )


class ReviewsSection(Section):
    """`reviews:` which reviews are posted."""

    when_clean: Literal["review", "check"] = Field(
        default="review",
        description="If nothing is found, review: the first review of a pull request says so, later ones are left to "
        "the check run; check: only the check run says so.",
    )


class CheckSection(Section):
    """`check:` the conclusion of the check run, for branch protection."""

    fail_on: Literal["critical", "major", "minor", "info", "never"] = Field(
        default="never", description="The check run fails if there are findings of at least this severity."
    )
    incomplete: Literal["failure", "neutral"] = Field(
        default="failure",
        description="Conclusion if a part of the changes was not reviewed. Effective only with fail_on.",
    )

    @property
    def may_fail(self) -> bool:
        """Whether findings can fail the check run, so that nothing may escape by what its author wrote."""
        return self.fail_on != "never"

    @property
    def fails_on_all(self) -> bool:
        """Whether findings of severity info fail the check run too, which must then be named."""
        return self.fail_on == "info"


class Sections(Section):
    """Configuration of Kodiai for a repository: `.kodiai.yml` on the base branch."""

    telemetry: TelemetrySection = TelemetrySection()
    engines: EnginesSection = EnginesSection()
    paths: PathsSection = PathsSection()
    severities: SeveritiesSection = SeveritiesSection()
    limits: LimitsSection = LimitsSection()
    triggers: TriggersSection = TriggersSection()
    reviews: ReviewsSection = ReviewsSection()
    check: CheckSection = CheckSection()


class RepositoryConfig(Sections):
    """A validated configuration; `problems` lists the parts of the file that were not used, one sentence each."""

    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Settings that differ from the defaults, as stored on the `Review` row."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"problems"})

    @staticmethod
    def from_json(data: dict[str, Any] | None) -> "RepositoryConfig":
        """Read a stored configuration; None means the defaults."""
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
    """Safe YAML without aliases, with which a file of a few lines expands to gigabytes.

    Also without tags, with which PyYAML misreads text and fails in many ways, and without repeated keys, of which a
    reader may see one while the other applies.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
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


def _unsupported(what: str, location: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"{what} are not supported", problem_mark=location.start_mark)


def load_yaml(text: str) -> Any:
    """Parse untrusted YAML. Raises `yaml.YAMLError`, and `ValueError` or `OverflowError` for impossible dates."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader


def parse(text: str | None) -> RepositoryConfig:
    """Parse a configuration; never raises. An invalid section falls back to its defaults and is a problem."""
    if text is None:
        return RepositoryConfig()
    if len(text) > MAX_CHARACTERS:
        return RepositoryConfig(
            problems=(f"`{PATH}` is longer than {MAX_CHARACTERS} characters; the defaults were used.",)
        )
    try:
        document = load_yaml(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # ValueError and OverflowError: impossible dates and numbers.
        return RepositoryConfig(problems=(f"`{PATH}` is not valid YAML{_location(error)}; the defaults were used.",))
    if document is None:
        return RepositoryConfig()
    if not isinstance(document, dict):
        return RepositoryConfig(problems=(f"`{PATH}` is not a mapping of sections; the defaults were used.",))
    sections: dict[str, Any] = {}
    problems = []
    for name, content in document.items():
        if name not in _SECTIONS:
            known = ", ".join(f"`{section}`" for section in _SECTIONS)
            problems.append(f"`{PATH}` has an unknown section; the known ones are {known}.")
            continue
        try:
            sections[name] = _SECTIONS[name].model_validate({} if content is None else content)
        except ValidationError as error:
            what = "; ".join(_describe(detail) for detail in error.errors()[:3])
            problems.append(f"Section `{name}` of `{PATH}` is invalid ({what}); its defaults were used.")
    return RepositoryConfig(**sections, problems=tuple(dict.fromkeys(problems)))


def _describe(detail: Any) -> str:
    # Unknown names are not quoted: they are untrusted text.
    known = [str(part) if isinstance(part, int) or part in _NAMES else "…" for part in detail["loc"]]
    location = ".".join(known) if detail["type"] != "extra_forbidden" else "an unknown key"
    # pydantic would show the regular expression.
    what = "invalid format" if detail["type"] == "string_pattern_mismatch" else detail["msg"]
    return f"{location}: {what}" if location else what


def _location(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
