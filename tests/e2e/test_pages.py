"""The operators' pages in a real browser, against a real Kodiai: seen, used, and checked for accessibility.

`make screenshots` also writes docs/images/dashboard-….png and timeline-….png from them.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from sandbox import Fault, FaultKind, PullRequest
from tests.support import past_runs
from tests.support.browser import Scheme, Visit, browser, visit
from tests.support.databases import Database
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_SCREENSHOTS"))
NAME, PASSWORD = "olga", "an-operators-password"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Installation:
    """A Kodiai with runs of the last month, one of today that met a limit, and one that failed."""

    kodiai: Kodiai
    limited: int
    """Key of the delivery whose run met GitHub's limit of Search."""
    failed: int
    pull: PullRequest


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    # A worker that the machine holds up keeps its run: an attempt whose lease was lost is not recorded.
    once = {"KODIAI_MAX_ATTEMPTS": "1", "KODIAI_LEASE_SECONDS": "60"}
    with running_kodiai(tmp_path_factory.mktemp("kodiai"), **once) as kodiai:
        past_runs.fill(Database(kodiai.database), 6000, days=30)
        root = ("--username", NAME, "--email", "olga@example.org")
        kodiai.manage("createsuperuser", "--noinput", *root, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        repo = kodiai.github.create_repository(
            "acme/shop", files={"shop/prices.py": "def total(prices):\n    return 0\n"}
        )
        limited = repo.open_pull_request(
            title="Sum up prices",
            changes={"shop/prices.py": "import json\n\n\ndef total(prices):\n    return sum(prices)\n"},
        )
        kodiai.github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=3))
        kodiai.github.fail("files", Fault(FaultKind.STATUS, status=502))
        kodiai.send(limited, delivery_id="a-run-that-met-a-limit")
        eventually(lambda: kodiai.rows("SELECT 1 FROM reviews_attempt"), "the run ends")
        failing = repo.open_pull_request(changes={"shop/prices.py": "x = 1\n"}, author="hubot")
        kodiai.github.fail("files", Fault(FaultKind.STATUS, status=403), times=None)
        kodiai.send(failing, delivery_id="a-run-that-failed")
        eventually(lambda: len(kodiai.rows("SELECT 1 FROM reviews_attempt")) == 2, "the run fails")
        kodiai.github.clear_faults()
        keys = dict(kodiai.rows("SELECT delivery_id, id FROM reviews_delivery WHERE delivery_id LIKE 'a-run-that-%'"))
        yield Installation(kodiai, keys["a-run-that-met-a-limit"], keys["a-run-that-failed"], limited)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def operator(installation: Installation, chromium: Browser) -> Iterator[Visit]:
    """A visit of somebody who has logged in. Whatever the browser complains of fails the test."""
    with visit(chromium, installation.kodiai.url) as visiting:
        visiting.log_in(NAME, PASSWORD)
        yield visiting
        assert visiting.wrong == []


def violations(page: Page) -> list[str]:
    """Return what axe-core finds that is serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def follow(page: Page, selector: str) -> None:
    """Click, and wait for the page that it leads to."""
    with page.expect_navigation():
        page.click(selector)


def cut_off(page: Page) -> list[str]:
    """Return what makes the page wider than the window."""
    wide = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
        ["the page", ...[...document.querySelectorAll("body *")]
            .filter(e => e.getBoundingClientRect().right > window.innerWidth)
            .map(e => e.tagName + "." + e.className + " " + e.getBoundingClientRect().right)].slice(0, 12)"""
    return list(page.evaluate(wide))


@pytest.mark.parametrize(("scheme", "width"), [("light", 375), ("dark", 1280)])
def test_every_page_fits_and_is_accessible(
    installation: Installation, chromium: Browser, scheme: Scheme, width: int
) -> None:
    with visit(chromium, installation.kodiai.url, scheme=scheme, width=width) as visiting:
        visiting.open("/admin/login/")
        assert violations(visiting.page) == []
        visiting.wrong.clear()
        visiting.log_in(NAME, PASSWORD)
        review = installation.kodiai.rows(f"SELECT id FROM reviews_review WHERE delivery_id = {installation.limited}")
        found: list[str] = []
        for path in (
            "/",
            "/admin/?range=30d",
            "/admin/reviews/delivery/",
            "/admin/reviews/review/",
            "/admin/telemetry/ratelimitevent/?degradation_path__exact=search-api-rate-limit",
            "/admin/telemetry/execution/",
            "/admin/reviews/reportedfinding/rules/?repo=acme/shop",
            f"/admin/reviews/delivery/{installation.limited}/change/",
            f"/admin/reviews/delivery/{installation.failed}/change/",
            f"/admin/reviews/delivery/{installation.failed}/act/run-again/",
            f"/admin/reviews/review/{review[0][0]}/change/",
        ):
            page = visiting.open(path)
            found += [f"{path}: {one} is wider than {width} px" for one in cut_off(page)]
            page.evaluate("document.querySelectorAll('.timeline details, .chart details').forEach(d => d.open = true)")
            found += [f"{path}: {one}" for one in visiting.wrong]
            found += [f"{path}: {one}" for one in violations(page)]
            # What axe-core itself is refused: it measures with inline styles.
            visiting.wrong.clear()
        assert not found, "\n".join(found)


def test_the_dashboard_leads_to_what_it_counts(operator: Visit, installation: Installation) -> None:
    page = operator.open("/admin/?range=7d")
    assert page.locator(".figures dt").all_inner_texts()[:3] == ["Deliveries", "Runs", "Webhook to published"]
    chart = page.locator("section.chart").first
    bars = chart.locator("svg g title").all_text_contents()
    assert len(bars) in (7, 8)
    chart.locator("summary").click()
    rows = chart.locator("tbody tr").count()
    assert rows == len(bars)

    follow(page, "text=30 days")
    assert page.locator("a[aria-current=true]").inner_text() == "30 days"
    follow(page, ".now .bad a")

    assert page.url.endswith("/admin/reviews/delivery/?status__exact=failed")
    assert page.locator("tbody tr").count() > 10
    assert set(page.locator("tbody .field-ended").all_inner_texts()) == {"failed"}


def test_a_timeline_shows_calls_degradation_and_telemetry(operator: Visit, installation: Installation) -> None:
    page = operator.open("/admin/reviews/delivery/?q=a-run-that-met-a-limit")
    follow(page, "tbody th a")

    titles = page.locator(".timeline h3").all_inner_texts()
    assert titles[0] == "Webhook received"
    assert any(title.startswith("Author looked up, degraded: search-api-rate-limit") for title in titles)
    assert titles.index("Files analysed") < titles.index("Review published")
    page.click(".timeline .calls summary")
    calls = page.locator(".timeline .calls tbody tr").all_inner_texts()
    assert any("GET /search/issues" in call and re.search(r"\b(403|429)\b", call) for call in calls)
    assert any("/files" in call and "502" in call for call in calls)
    follow(page, ".timeline a[href*=ratelimitevent]")
    assert "a-run-that-met-a-limit" in page.locator(".fields").first.inner_text()


def test_a_failed_delivery_is_run_again_after_a_confirmation(operator: Visit, installation: Installation) -> None:
    page = operator.open(f"/admin/reviews/delivery/{installation.failed}/change/")
    assert "403" in page.locator(".timeline").inner_text()

    follow(page, "text=Run again")
    assert installation.kodiai.rows(f"SELECT status FROM reviews_delivery WHERE id = {installation.failed}") == [
        ("failed",)
    ]
    follow(page, "input[value='Run again']")

    assert page.locator(".messagelist").inner_text() == "Queued again."
    assert f"{NAME}: Queued again." in page.locator(".log").inner_text()
    done = f"SELECT 1 FROM reviews_delivery WHERE id = {installation.failed} AND status = 'done'"
    eventually(lambda: installation.kodiai.rows(done), "the run ends")
    page.reload()
    assert page.locator("h1 .badge").inner_text() == "success"
    assert page.locator("text=Run again").count() == 0


def test_a_filtered_list_is_exported(operator: Visit, installation: Installation) -> None:
    page = operator.open("/admin/reviews/delivery/")
    page.click("summary:has-text('Status')")
    follow(page, ".filter[open] >> text=Ignored")
    assert set(page.locator("tbody .field-ended").all_inner_texts()) == {"ignored"}
    with page.expect_download() as download:
        page.click("text=JSON Lines")
    lines = Path(download.value.path()).read_text().splitlines()

    assert len(lines) == 300
    assert {json.loads(line)["status"] for line in lines} == {"ignored"}


def test_a_day_is_picked_and_left(operator: Visit) -> None:
    page = operator.open("/admin/telemetry/execution/")
    first = page.locator("tbody time").first.inner_text()[:10]
    page.click("summary:has-text('Day')")
    page.fill(".filter[open] input[name=since]", first)
    page.fill(".filter[open] input[name=until]", first)
    follow(page, ".filter[open] input[type=submit]")
    assert {text[:10] for text in page.locator("tbody time").all_inner_texts()} == {first}
    follow(page, "text=Clear")
    assert page.url.endswith("/admin/telemetry/execution/?")


def test_an_export_streams_in_bounded_memory(operator: Visit, installation: Installation) -> None:
    kodiai = installation.kodiai
    (server,) = kodiai.web_servers()
    page = operator.open("/admin/telemetry/execution/")
    columns = "repo, event_type, model, provider, conclusion, duration_ms, input_tokens, output_tokens, cost_usd, "
    columns += "cache_read_tokens, cache_creation_tokens, created_at"
    for _ in range(5):
        Database(kodiai.database).execute(f"INSERT INTO executions ({columns}) SELECT {columns} FROM executions")
    (rows,) = kodiai.rows("SELECT count(*) FROM executions")
    before = resident(server)

    with page.expect_download() as download:
        page.click("text=CSV")
    size = Path(download.value.path()).stat().st_size

    with Path(download.value.path()).open() as lines:
        assert sum(1 for _ in lines) == rows[0] + 1
    assert size > 15_000_000
    assert resident(server) - before < size / 4


def resident(process: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not WRITE, reason="`make screenshots` writes them")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_screenshots(installation: Installation, chromium: Browser, scheme: Scheme) -> None:
    with visit(chromium, installation.kodiai.url, scheme=scheme, device_scale_factor=2) as visiting:
        visiting.log_in(NAME, PASSWORD)
        page = visiting.open("/admin/?range=7d")
        end = page.locator("#all").bounding_box()
        assert end is not None
        page.screenshot(
            path=IMAGES / f"dashboard-{scheme}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": 1280, "height": end["y"]},
        )
        page = visiting.open(f"/admin/reviews/delivery/{installation.limited}/change/")
        page.click(".timeline .calls summary")
        end = page.locator(".timeline").bounding_box()
        assert end is not None
        height = end["y"] + end["height"] + 24
        page.screenshot(
            path=IMAGES / f"timeline-{scheme}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": 1280, "height": height},
        )
