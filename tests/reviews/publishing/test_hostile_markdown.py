"""No text of a pull request breaks out of its place, on GitHub or in the admin."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from reviews.config import repository
from reviews.findings import Finding, Report, Severity, Suggestion, bounded
from reviews.publishing.grouping import Remark
from reviews.publishing.markdown import MAX_BODY, code, comment_body, prose, summary_body
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_review
from tests.support.factories import ReviewFactory
from tests.support.hostile import MARKUP, RULE_URL, assert_tame, check_comment, check_summary
from tests.support.runs import admit, run


def finding(**values: object) -> Finding:
    given = {
        "path": "a.py",
        "start_line": 1,
        "end_line": 1,
        "severity": Severity.MAJOR,
        "rule": "F401",
        "message": "m",
        "rule_url": RULE_URL,
    }
    return bounded(Finding(**(given | values)))  # type: ignore[arg-type]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("place", ["path", "rule", "message", "fix", "rule_url"])
def test_no_markup_in_a_finding_is_more_than_text(place: str) -> None:
    for text in (*MARKUP, "".join(MARKUP), " ".join(MARKUP), "`".join(MARKUP)):
        for surrounded in (text, f"word {text} word", f"`{text}`", f"`` {text}", f"word{text}"):
            hostile = finding(**{place: surrounded})
            check_comment(hostile)
            check_summary([hostile], [surrounded], surrounded)


def test_a_suggestion_is_byte_for_byte_the_fix_or_is_not_offered() -> None:
    for text in (*MARKUP, "".join(MARKUP)):
        hostile = finding(suggestion=Suggestion(1, 1, text))
        check_comment(hostile)
        if any(character in text for character in "\0\ud800"):
            assert hostile.suggestion is None
        else:
            assert f"suggestion\n{text}\n" in comment_body(Remark(hostile))


def test_text_between_backticks_is_code() -> None:
    html = MarkdownIt("commonmark").renderInline(prose("`os.path` imported but unused; 1 < 2 & a*b*c | $x$"))
    assert html == "<code>os.path</code> imported but unused; 1 &lt; 2 &amp; a*b*c | $x$"


def test_a_comment_says_last_and_folded_how_to_suppress_its_rule() -> None:
    by_comment = finding(suppression="`# noqa: F401` at the end of the line", fix="Remove it")
    opening, how, end = (
        "<details><summary>How to suppress</summary>\n\n",
        "To suppress: `# noqa: F401`",
        "\n\n</details>",
    )
    body = comment_body(Remark(by_comment))
    assert body.endswith(f"\n\nFix: Remove it.\n\n{opening}{how} at the end of the line.{end}")
    assert "uppress" not in comment_body(Remark(replace(by_comment, severity=Severity.CRITICAL)))
    by_settings = finding(rule="eslint(no-debugger)")
    key = "eslint(no-debugger): never"
    assert comment_body(Remark(by_settings)).endswith(
        f"{opening}To suppress: `{key}` under `severities.rules` in `.kodiai.yml`.{end}"
    )
    assert repository.parse(f"severities:\n  rules:\n    {key}\n").severities.rules == {"eslint(no-debugger)": "never"}


def test_code_shows_invisible_characters() -> None:
    for (
        unseen
    ) in "\n\t\x1b\x7f\x85\xad\u034f\u061c\u115f\u180e\u200b\u200f\u2028\u202e\u2066\u3164\ufe0f\ufeff\U000e0041":
        assert code(f"a{unseen}b") == "`a\N{REPLACEMENT CHARACTER}b`", ascii(unseen)


def test_a_table_row_is_one_row_of_three_cells_whatever_it_holds() -> None:
    for text in ("a|b", "a\\|b", "a\\\\|b", "`|`", "`\\|`", "`a\\\\|b` | @everyone"):
        hostile = finding(message=f"{text} end", path=text, rule=text)
        check_summary([hostile], [text], text)
        body = summary_body(ReviewFactory.build(), Report(findings=(hostile,)), [hostile], refused=True)
        (row,) = [line for line in body.splitlines() if line.startswith("| major")]
        # To GitHub the second of two backslashes is escaped by the first, and the bar behind them ends the cell.
        bars = re.findall(r"(\\*)\|", row)
        assert [len(before) for before in bars].count(0) == 4, row
        assert set(map(len, bars)) <= {0, 1}, row


def test_the_longest_of_everything_still_fits_into_a_comment() -> None:
    long = "@" * 1_000_000
    hostile = finding(path=long, rule=long, message=long, fix=long, suggestion=Suggestion(1, 1, "`" * 5000))
    assert len(comment_body(Remark(hostile))) < MAX_BODY
    check_summary([hostile] * 300, [long] * 300, long)


def test_a_link_that_is_not_a_page_of_a_rule_is_no_link() -> None:
    found_by_fuzzing = "https://docs.astral.sh/ruff/rules\u044dunused-import"
    for url in (
        found_by_fuzzing,
        "javascript:alert(1)",
        "https://x/)[y](https://z",
        "http://x",
        "https://x/ 'a'",
        "https://x/<!--",
    ):
        assert "](" not in comment_body(Remark(finding(rule_url=url)))


def test_the_check_itself_sees_what_it_is_there_to_see() -> None:
    mentions, links = ("@everyone", "&#64;everyone", "fixes #1"), ("https://example.com", "![x](y)", "[x](https://a.b)")
    for bad in (
        *mentions,
        *links,
        "<b>",
        "a\n\n# b",
        "a\n===",
        "---",
        "    code",
        "`a\u202eb`",
        "<!-- kodiai:review 0 -->",
    ):
        with pytest.raises(AssertionError):
            assert_tame(bad)


# Through a whole run

FORGED = "<!-- kodiai:review {digest} -->"


@pytest.mark.django_db
def test_a_forged_marker_is_not_kodiais_own(github: Sandbox, pull: PullRequest) -> None:
    """The worst case: the App's own earlier review holds the marker of this very run, in the name of a file."""
    delivery = admit(pull)
    forged = FORGED.format(digest=delivery.identity_digest)
    add_review(
        pull,
        author=f"{github.app_slug}[bot]",
        body=f"### Kodiai\n\n- `{forged}.py` {forged}: left out\n\n{marker_of_another}",
    )
    github.fail("create_review", Fault(FaultKind.RESET), times=1)
    run(delivery)

    review = run(delivery)

    assert review.conclusion == "success"
    assert sum(marker(review) in published["body"] for published in pull.reviews) == 2


marker_of_another = FORGED.format(digest="0" * 32)
