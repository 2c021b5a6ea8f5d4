"""`make docs` builds the documentation as a site that needs nothing from elsewhere."""

import re
import subprocess

from tests.support.processes import ROOT

SITE = ROOT / "var" / "docs"
LOADED = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")


def test_every_page_is_there_and_nothing_is_loaded_from_afar() -> None:
    built = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in pages if not (SITE / page).is_file()] == []
    navigation = (SITE / "index.html").read_text()
    assert [str(page) for page in pages if page.name != "README.html" and f'href="{page}"' not in navigation] == []
    loaded = {address for page in SITE.rglob("*.html") for address in LOADED.findall(page.read_text())}
    assert loaded
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []
