"""What is reported at which severity in shell scripts, workflows and Dockerfiles."""

from collections.abc import Mapping

import pytest

from reviews.findings import Severity, Suggestion
from tests.reviews.engines.test_rules import found_in, shown

SHELL: Mapping[str, tuple[str, set[tuple[str, str]]]] = {
    # Quoted above, from outside of the script, and a path for the command.
    "oversight.sh": (
        '#!/bin/sh\nhere=$(dirname "$0")\n[ -d "$here/a" ] || exit\ncd $here || exit\n',
        {("SC2086", "minor")},
    ),
    "argument.sh": (
        '#!/bin/sh\nfolder="$1"\necho "$folder" "$folder"\nrm -r $folder\n',
        {("SC2086", "minor")},
    ),
    "never_quoted.sh": ('#!/bin/sh\nhere=$(dirname "$0")\ncat $here/a\ncd $here || exit\n', {("SC2086", "info")}),
    "no_path.sh": ('#!/bin/sh\ncount="$1"\necho "$count" "$count"\nmake -j $count\n', {("SC2086", "info")}),
    "constant.sh": ('#!/bin/sh\nhere="/etc/$(uname)"\ncat "$here/a"\ncd $here || exit\n', {("SC2086", "info")}),
    "index.sh": ('#!/bin/bash\na=("$@")\necho "$a[1]"\n', {("SC1087", "major"), ("SC2128", "info")}),
    "pattern.sh": ('#!/bin/sh\ngrep "^$1x" a\nb=$1\ngrep "$b[[:space:]]" a\n', {("SC1087", "info")}),
    "alias.sh": ("#!/bin/bash\nalias a=\"awk '{print \\$1}'\"\n", set()),
    "argument_of_alias.sh": ("#!/bin/bash\nalias a='echo $1'\n", {("SC2142", "minor")}),
    "module.sh": ("#! bash shop.module\ncd /\n", {("SC2239", "info")}),
    "redirected.sh": ("#!/bin/bash\nif [[ $(ls >/dev/null) ]]; then :; fi\n", {("SC2328", "major")}),
    "expanded.sh": ('#!/bin/bash\nalias a="cd $HOME"\n', {("SC2139", "info")}),
    "read_by_another.sh": ("# shellcheck shell=bash\nlocal x=1\necho $x\n", {("SC2168", "info")}),
    "nested.sh": ("#!/bin/bash\nif a; then\n  b\nelse if c; then\n  d\nfi\nfi\n", {("SC1075", "info")}),
    "started.sh": ("#!/bin/bash\nlocal x=1\necho $x\n", {("SC2168", "minor")}),
    "function_of_another.sh": ("#!/bin/bash\nlocal x=1\nlocal y=2\necho $x $y\n", {("SC2168", "info")}),
    "left.sh": ("#!/bin/sh\nif [ -f a ]; then\n  return\nfi\na=(1)\n", {("SC3030", "info")}),
    "returning.sh": ("#!/bin/sh\nf() {\n  return 1\n}\nf || a=(1)\n", {("SC3030", "minor")}),
    "within.sh": ('#!/bin/bash\n[[ "$1" =~ "$2" ]]\n', {("SC2076", "info")}),
    "part_of_text.sh": ('#!/bin/bash\n[[ "$1" =~ "/.git" ]]\n', {("SC2076", "info")}),
    "literally.sh": ('#!/bin/bash\n[[ "$1" =~ "^a.b" ]]\n', {("SC2076", "minor")}),
    "shown.sh": ("#!/bin/bash\nrc='~/.bashrc'\necho \"$rc\"\n", {("SC2088", "info")}),
    "read.sh": ('#!/bin/bash\nrc="~/.bashrc"\n. "$rc"\n', {("SC2088", "minor")}),
    "alpine.sh": ('#!/bin/sh\napk add bash\necho "${a/b/c}"\n', {("SC3060", "info")}),
    "alpine_array.sh": ("#!/bin/sh\napk add bash\na=(1 2)\n", {("SC3030", "minor")}),
    "debian.sh": ('#!/bin/sh\n[[ -f /a ]] || echo "${a/b/c}"\n', {("SC3010", "info"), ("SC3060", "minor")}),
    "tests/run.sh": ("#!/bin/sh\na=(1 2)\n", {("SC3030", "info")}),
    "docker-entrypoint.sh": ("#!/bin/sh\na=(1 2)\n", {("SC3030", "info")}),
    "drawing.sh": ("#!/bin/bash\necho '\\_ /\\n'\n", {("SC2028", "info")}),
    "escapes.sh": ("#!/bin/bash\necho 'a\\nb'\n", {("SC2028", "minor")}),
    "both_shells.sh": ('#!/bin/bash\n[ "$ZSH_VERSION" ] && a=${(f)b}\n', {("SC2296", "info")}),
    "of_zsh.sh": ("#!/bin/bash\na=${(f)b}\n", {("SC2296", "major")}),
    "empty_command.sh": ('#!/bin/bash\n"" a\n', {("SC2286", "major")}),
    "constant_test.sh": ("#!/bin/bash\n[ a ] && b\n", {("SC2078", "minor")}),
    "throughout.sh": (
        "#!/bin/sh\nfunction f {\n  declare -a a\n  [[ -f /a ]]\n  a=(1)\n  echo $'b' &> /c\n}\n",
        {(f"SC{code}", "info") for code in (2113, 3003, 3010, 3020, 3030, 3044)},
    ),
    "function.sh": ("#!/bin/sh\nfunction f {\n  true\n}\nf\n", {("SC2113", "minor")}),
    "passed_on.sh": ("#!/bin/bash\nmake $@\n", {("SC2068", "minor")}),
    "echoed.sh": ('#!/bin/bash\nmake "$(echo -n $@)"\n', {("SC2068", "info")}),
    "echoed_later.sh": ("#!/bin/bash\nmake $@ && echo made\n", {("SC2068", "minor")}),
    "defined_again.sh": ("#!/bin/bash\nf a\nunset -f f\nf() { :; }\nf\n", {("SC2218", "info")}),
    "defined_later.sh": ("#!/bin/bash\nf a\nf() { :; }\nf\n", {("SC2218", "minor")}),
    "unread.sh": (
        "#!/bin/bash\nsleep 1 < /dev/null &\nsleep 1 < /etc/hosts &\n",
        {("SC2217", "info"), ("SC2217", "minor")},
    ),
    "never.sh": ("#!/bin/bash\ncase $1 in\n  a | *) b ;;\n  c) d ;;\nesac\n", {("SC2222", "minor")}),
    "twice.sh": ("#!/bin/bash\ncase $1 in\n  a | b | a) c ;;\nesac\n", {("SC2222", "info")}),
    "alpine_function.sh": ("#!/bin/sh\napk add bash\nfunction f {\n  :\n}\nf\n", {("SC2113", "info")}),
    "array.sh": (
        '#!/bin/bash\na=(1)\nfor b in ${a[@]}; do [[ ${a[@]} == "$b" ]]; done\n',
        {("SC2068", "info"), ("SC2199", "info")},
    ),
    "commented_out.sh": ('#!/bin/bash\na=( \\\n  1 \\\n  # 2 \\\n)\necho "${a[0]}"\n', {("SC1143", "info")}),
    "word.sh": (
        '#!/bin/sh\nf() {\n  a="$1"\n  echo "$a" "$a"\n}\n# '
        + 24_000 * "="
        + '\ng() {\n  a=word b=1\n  [ -d $a ] || rm -r "$a"\n}\n',
        {("SC2086", "info")},
    ),
    "always.sh": ('#!/bin/sh\na="$1"\necho "$a" "$a"\n[ -n $a ]\n', {("SC2070", "major")}),
    "evaluated.sh": ('#!/bin/bash\neval "$(f)"\necho "$name"\n', set()),
    "coprocess.sh": ("#!/bin/bash\ncoproc a (cat)\n", set()),
    "numbered.sh": ("#!/bin/bash\necho a >&${b[1]} 2>/dev/null\n", {("SC2086", "info"), ("SC2261", "info")}),
    "competing.sh": ("#!/bin/bash\necho a >/b >/c\n", {("SC2261", "major")}),
    "given_array.sh": ('#!/bin/sh\n"${psql[@]}" <b\n', {("SC3054", "info")}),
    "own_array.sh": ('#!/bin/sh\na=(1)\nb "${a[@]}"\n', {("SC3030", "minor"), ("SC3054", "minor")}),
    "word_test.sh": ('#!/bin/sh\na="$1"\necho "$a" "$a"\n[ $a = true ]\n', {("SC2086", "info")}),
    "removing.sh": ('#!/bin/sh\nrm -rf "$A/"*\n', {("SC2115", "minor")}),
    "removing_set.sh": ('#!/bin/sh\nset -eu\nrm -rf "$A/"*\n', {("SC2115", "info")}),
    "number.sh": ('#!/bin/sh\na=$(f "$1")\necho "$a" "$a"\n[ $a -lt 7 ]\n', {("SC2086", "info")}),
    "literal.sh": (
        '#!/bin/bash\nPAGER=cat\nfor x in one; do echo "a"$PAGER"b"; done | tr -d [:space:]\n',
        {("SC2209", "info"), ("SC2043", "info"), ("SC2027", "info"), ("SC2060", "info")},
    ),
    "idiom.sh": ('#!/bin/sh\na=$(CDPATH= cd "$1" && pwd)\necho "$a"\n', {("SC1007", "info")}),
}


def test_a_forgotten_quote_of_shell_is_reported() -> None:
    found = found_in("shellcheck", {path: text for path, (text, _) in SHELL.items()})
    assert {path: shown(found, path) for path in SHELL} == {path: wanted for path, (_, wanted) in SHELL.items()}


WORKFLOW = """\
on: issues
permissions: {}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo "IP=$(hostname)" >> "$GITHUB_ENV"
      - run: echo ${{ env.IP }}
      - run: echo ${{ github.event.issue.title }} ${{ matrix.os }}
      - run: echo ${{ inputs.version }}
      - run: echo ${{ github.ref_name }}
"""


def test_zizmor_reports_severity_expression_and_remedy() -> None:
    found = found_in("zizmor", {".github/workflows/a.yml": WORKFLOW})
    shown = {
        (finding.start_line, finding.severity): finding.message for finding in found if "injection" in finding.rule
    }
    assert set(shown) == {(8, "info"), (9, "major"), (10, "info"), (11, "info")}
    assert "`${{ env.IP }}`" in shown[8, Severity.INFO]
    assert "attacker" not in shown[8, Severity.INFO]
    assert "`${{ github.event.issue.title }}`" in shown[9, Severity.MAJOR]
    assert all("under `env:`" in message for message in shown.values())


@pytest.mark.parametrize(
    ("severity", "expressions"),
    [
        (
            "major",
            (
                *("github.event.workflow_run.head_branch", "github.event.workflow_run.display_title", "github"),
                *("github['event']['pull_request']['title']", "github.event['issue']['title']", "github.HEAD_REF"),
                *("GitHub.Event.Issue.Title", "github.event.pull_request.head.repo.description", "github.event"),
                *("github.event.client_payload.cmd", "github.event.client_payload.sha", "github.event.label.name"),
            ),
        ),
        (
            "info",
            (
                *("github.ref", "github['ref_name']", "github.base_ref", "github.event.pull_request.base.ref"),
                *("github.event.repository.default_branch", "github.event.release.tag_name", "github.event.ref"),
                *("github.actor", "GITHUB.workflow", "github.event.sender.login", "github.event.inputs.version"),
                *("github.event.pull_request.head.repo.full_name", "github.event.workflow_run.head_sha"),
                *("github.event.repository['name']", "github.event.issue.html_url", "inputs.version", "env['IP']"),
            ),
        ),
    ],
)
def test_an_injection_is_as_severe_as_who_sets_the_value(severity: str, expressions: tuple[str, ...]) -> None:
    steps = "".join(f"      - run: echo ${{{{ toJSON({expression}) }}}}\n" for expression in expressions)
    found = found_in("zizmor", {".github/workflows/a.yml": WORKFLOW.partition("      - ")[0] + steps})
    shown = {finding.message.split("`")[1][4:-3]: finding.severity for finding in found if "injection" in finding.rule}
    assert shown == dict.fromkeys(expressions, severity)


def test_who_says_yes_to_apt_does_not_wait() -> None:
    text = (
        "FROM debian:12\nRUN yes | apt-get install a\nRUN yes | apt-get install a && apt-get install b\n"
        "RUN c && \\\n  yes '' | apt-get \\\n  install a && apt-get update && apt-get install -qq b\n"
        "RUN apt-get install a\nRUN echo Y | apt-get install a\n"
        "RUN echo 'APT::Get::Assume-Yes \"true\";' > /etc/apt/apt.conf.d/90yes\nRUN apt-get install a\n"
    )
    found = found_in(
        "hadolint",
        {"Dockerfile": text, "b/Dockerfile": "FROM a:1\nRUN apt-get -o APT::Get::Assume-Yes=true install a\n"},
    )
    assert [(one.path, one.start_line) for one in found if one.rule == "DL3014"] == [
        ("Dockerfile", 3),
        ("Dockerfile", 7),
    ]


def test_the_same_remark_about_a_line_is_made_once() -> None:
    title = "${{ github.event.issue.title }}"
    step = f"      - run: echo {title} {title}\n"
    workflow = WORKFLOW.partition("      - ")[0] + step
    assert len(found_in("zizmor", {".github/workflows/a.yml": workflow})) == 1
    (quote,) = found_in("shellcheck", {"a.sh": "#!/bin/sh\ncp $1 $2 $2\n"})
    assert quote.suggestion == Suggestion(2, 2, 'cp "$1" "$2" "$2"')
    twice = "export const f = () => { debugger; debugger; };\n"
    assert len(found_in("oxlint", {"a.js": twice})) == 1


def test_a_bots_name_is_enough_where_nothing_is_to_gain() -> None:
    text = "on: {}\njobs:\n  a:\n    if: github.actor == 'dependabot[bot]'\n    runs-on: x\n    steps: [run: 'true']\n"
    files = {f".github/workflows/{on}.yml": text.format(on) for on in ("pull_request", "pull_request_target")}
    found = [finding for finding in found_in("zizmor", files) if finding.rule == "zizmor/bot-conditions"]
    assert {finding.path[18:-4]: finding.severity for finding in found} == {
        "pull_request": "info",
        "pull_request_target": "minor",
    }


def test_shell_and_docker_are_reported_by_what_fails() -> None:
    script = '#!/bin/sh\nrm $1\ncd x\nx = 1\nrm -rf "$x/"*\nif [ $x > 3 ]; then :; fi\n'
    found = {finding.rule: finding.severity for finding in found_in("shellcheck", {"a.sh": script})}
    assert found == {
        "SC2086": "info",
        "SC2164": "info",
        "SC2283": "major",
        "SC2115": "minor",
        "SC2071": "major",
        "SC3012": "info",
    }
    dockerfile = (
        "FROM debian\nRUN apt-get install curl\nRUN a | b\nWORKDIR app\nADD a /b\nCOPY a b /c\n"
        "HEALTHCHECK CMD x\nCMD a\nCMD b\n"
    )
    shown = [
        (finding.rule, str(finding.severity), finding.start_line)
        for finding in found_in("hadolint", {"Dockerfile": dockerfile})
    ]
    assert sorted(shown) == [
        ("DL3000", "info", 4),
        ("DL3006", "info", 1),
        ("DL3014", "minor", 2),
        ("DL3020", "info", 5),
        ("DL3021", "minor", 6),
        ("DL3025", "info", 8),
        ("DL3025", "info", 9),
        ("DL4003", "major", 9),
        ("DL4006", "info", 3),
    ]
