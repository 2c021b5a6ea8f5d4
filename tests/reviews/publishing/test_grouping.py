"""Equal findings in one file become one comment."""

from reviews.findings import Finding, Severity, Suggestion
from reviews.publishing.grouping import MAX_GROUP, group_findings


def finding(line: int, **values: object) -> Finding:
    given = {"path": "a.py", "severity": Severity.MAJOR, "rule": "F821", "message": "Undefined name `x`"}
    return Finding(start_line=line, end_line=line, **(given | values))  # type: ignore[arg-type]


def test_equal_findings_in_a_file_are_one_at_the_first() -> None:
    others = [
        finding(2, path="b.py"),
        finding(3, rule="F822"),
        finding(4, message="Undefined name `y`"),
        finding(5, severity=Severity.MINOR),
        finding(6, fix="Replace it"),
    ]
    first, *rest = group_findings([finding(1), *others, finding(9), finding(7)])
    assert [found.start_line for found in first.findings] == [1, 9, 7]
    assert [remark.findings for remark in rest] == [(other,) for other in others]


def test_a_line_is_named_once_and_the_first_not_at_all() -> None:
    (remark,) = group_findings(finding(line) for line in (3, 3, 8, 8, 9))
    assert remark.other_lines == [8, 9]


def test_a_finding_with_a_suggestion_stays_alone() -> None:
    fixable = [finding(line, suggestion=Suggestion(line, line, "y")) for line in (1, 2)]
    plain = [finding(line) for line in (3, 4)]
    shown = [[found.start_line for found in remark.findings] for remark in group_findings([*fixable, *plain])]
    assert shown == [[1], [2], [3, 4]]
    (all_of_them,) = group_findings([*fixable, *plain], suggestions=True)
    assert len(all_of_them.findings) == 4


def test_a_remark_has_an_end() -> None:
    sizes = [len(remark.findings) for remark in group_findings(finding(line) for line in range(1, 2 * MAX_GROUP + 2))]
    assert sizes == [MAX_GROUP, MAX_GROUP, 1]
