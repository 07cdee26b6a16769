"""The documentation site: built strictly and without a network, and it loads nothing from one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
HERMETIC = """\
import os, sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"asked the network: {event} {args}".encode())
        os._exit(3)
sys.addaudithook(refuse)
from mkdocs.__main__ import cli
cli(["build", "--strict", "--quiet", "--site-dir", sys.argv[1]])
"""
_LOADS = {"src", "srcset", "data", "poster", "action"}
_IN_STYLE = re.compile(r"@import\s+[\"']?([^\"';)]+)|url\(\s*[\"']?([^\"')]+)")
_ELSEWHERE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by a process that ends at the first thing it asks of a network."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-c", HERMETIC, str(folder)]
    built = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser would fetch for a page; where `a` leads is for its reader to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in _LOADS or (name.endswith("href") and tag != "a")):
                self.found.append(value)
            if value and name == "style":
                self.found += _in_style(value)

    def handle_data(self, data: str) -> None:
        if (self.get_starttag_text() or "").startswith("<style"):
            self.found += _in_style(data)


def _in_style(text: str) -> list[str]:
    return [one or other for one, other in _IN_STYLE.findall(text)]


def _loaded_by(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".css":
        return _in_style(text)
    parser = Loaded()
    parser.feed(text)
    return parser.found


def test_no_page_and_no_style_loads_anything_from_another_host(site: Path) -> None:
    files = [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]
    loaded = {file: _loaded_by(file) for file in files}
    assert sum(map(len, loaded.values())) > 100
    assert not [
        (f.name, url) for f, urls in loaded.items() for url in urls if _ELSEWHERE.match(url)
    ]


def test_every_link_within_the_site_leads_to_a_file_of_it(site: Path) -> None:
    links = re.compile(r'href="(?![a-z]+:|#|//)([^"#?]+)')
    for page in site.rglob("*.html"):
        if page.name != "404.html":
            for link in links.findall(page.read_text(encoding="utf-8")):
                assert (page.parent / unquote(link)).exists(), f"{page.name}: {link}"


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_read_from_a_folder_in_a_browser_it_asks_no_host_and_can_be_searched(site: Path) -> None:
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        for name in ("index", "state-machine"):
            page.goto((site / f"{name}.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("lease")
        page.wait_for_selector(".md-search-result__item")
        browser.close()
    assert asked
    assert not [url for url in asked if not url.startswith(("file:", "data:", "about:"))]
    assert not said
