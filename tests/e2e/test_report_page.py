"""`report.html` in a real browser: it runs nothing of others, asks nobody, anyone can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import worklogs
from bench.large_run import large_run
from browser_rig import PHONE, WIDE, Scheme, opened_page, started
from playwright.sync_api import Browser, expect
from rig import opened
from services import tiny_loop
from slow import but_slow

from loopctl import api
from loopctl.reports.html import report_html

_BREAKS = "def answer(self): raise KeyError('the order book')\nHandler.answer = answer\n"
_TESTS = """
def test_it_is_there():
    assert 'healthy' in ask()
def test_orders_are_listed():
    assert 'orders' in ask('/through')
"""
_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each page made once, when it is first asked for."""
    made: dict[str, Path] = {}

    def page_of(name: str) -> Path:
        if name not in made:
            made[name] = _PAGES[name](tmp_path_factory.mktemp(name))
        return made[name]

    return page_of


def _red(place: Path) -> Path:
    """Of a real run: the service fails on one path, and says so."""
    with opened(place) as project:
        tiny_loop(project, _TESTS, prelude=_BREAKS)
        ran = project.run("web", "--max-cycles", "1")
        assert ran.code == 1, str(ran)
        return ran.run / "report.html"


def _thousand(place: Path) -> Path:
    folder = large_run(place, tests=1000, lines=2000)
    api.report(folder)
    return folder / "report.html"


def _hostile(place: Path) -> Path:
    """Everything that others can write, a line of 10 MB among it."""
    (place / "logs" / "1").mkdir(parents=True)
    texts = [worklogs.HOSTILE, "</code></script><script>pwned=1</script>", "y" * 10_000_000]
    at = worklogs.BEGAN + timedelta(milliseconds=200)
    lines = [{"at": at.isoformat(), "stream": "<b>", "text": text} for text in texts]
    written = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (place / "logs" / "1" / "chat.jsonl").write_text(written)
    log = worklogs.hostile("x" * 10_000_000).worklog()
    return _written(report_html(log, place), place)


def _written(html: str, place: Path) -> Path:
    page = place / "report.html"
    page.write_bytes(html.encode("utf-8", "replace"))
    return page


_PAGES: Mapping[str, Callable[[Path], Path]] = {
    "red": _red,
    "thousand": _thousand,
    "hostile": _hostile,
    "green": lambda place: _written(report_html(worklogs.green().worklog()), place),
    "undelivered": lambda place: _written(
        report_html(worklogs.undelivered({worklogs.OLD: 100}).worklog()), place
    ),
    "two-cycles": lambda place: _written(report_html(worklogs.two_cycles().worklog()), place),
}
_LOOKS: tuple[tuple[Scheme, int], ...] = (("light", WIDE), ("dark", WIDE), ("light", PHONE))


@pytest.mark.parametrize("name", but_slow(_PAGES, ("red", "thousand", "hostile")))
def test_it_opens_in_light_and_dark_and_on_a_phone_and_nothing_is_wrong_with_it(
    name: str, browser: Browser, page_of: Callable[[str], Path]
) -> None:
    file = page_of(name)
    assert file.stat().st_size < 1_000_000
    for scheme, width in _LOOKS:
        with opened_page(browser, file, scheme=scheme, width=width) as seen:
            assert seen.page.locator("h1").is_visible()
            if name != "thousand":
                seen.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = 1)")
            assert not seen.scrolls_sideways(), (scheme, width)
            assert seen.violations() == [], (scheme, width)
            assert seen.complaints == [], (scheme, width)


def test_the_log_lines_of_its_seconds_stand_beside_a_failure(
    browser: Browser, page_of: Callable[[str], Path]
) -> None:
    with opened_page(browser, page_of("red")) as seen:
        failure = seen.page.locator(".failure")
        expect(failure).to_have_count(1)
        asserted, said = failure.locator(".asserted"), failure.locator(".lines")
        expect(asserted).to_contain_text("test_orders_are_listed")
        expect(said).to_contain_text("KeyError: 'the order book'")
        expect(said.locator("em").filter(has_text="evidence").first).to_be_visible()
        left, right = asserted.bounding_box(), said.bounding_box()
        assert left is not None
        assert right is not None
        assert left["x"] + left["width"] <= right["x"]


def test_the_keyboard_reaches_the_tests_and_finds_one_of_a_thousand(
    browser: Browser, page_of: Callable[[str], Path]
) -> None:
    with opened_page(browser, page_of("thousand")) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        find = page.get_by_label("Find")
        for _ in range(40):
            page.keyboard.press("Tab")
            if find.evaluate("field => field === document.activeElement"):
                break
        page.keyboard.type("[517-eur")
        expect(page.locator("#tests li:visible")).to_have_count(1)
        expect(page.locator("#filter output")).to_have_text("1 of 1000 tests")
        find.fill("")
        page.get_by_label("Show").select_option("bad")
        expect(page.locator("#filter output")).to_have_text("50 of 1000 tests")
        page.get_by_label("Show").select_option("")
        summary = page.locator("#tests summary").first
        for opened in (True, False):
            summary.press("Enter")
            assert page.locator("#tests details").first.evaluate("part => part.open") is opened
        assert seen.complaints == []


def test_it_is_whole_without_its_script(browser: Browser, page_of: Callable[[str], Path]) -> None:
    with opened_page(browser, page_of("thousand"), script=False) as seen:
        page = seen.page
        expect(page.locator("#filter")).to_be_hidden()
        assert page.locator("#tests li").count() == 1000
        for part in ("#timeline", "#suites", "#failures", "#environment", "#unchecked"):
            expect(page.locator(part)).to_be_visible()
        page.locator("#tests summary").first.click()
        expect(page.locator("#tests li").first).to_be_visible()


def test_what_others_write_is_shown_and_does_nothing(
    browser: Browser, page_of: Callable[[str], Path]
) -> None:
    with opened_page(browser, page_of("hostile")) as seen:
        page = seen.page
        shown = page.locator("body").text_content() or ""
        assert "<script>alert(1)</script>" in shown
        assert "</code></script><script>pwned=1</script>" in shown
        assert "\\x1b[31m" in shown
        assert _ACTS.search(shown) is None
        assert page.evaluate("typeof pwned") == "undefined"
        assert page.locator("script").count() == 1
        assert page.locator("img, iframe, object, embed, form, [onerror]").count() == 0
        assert page.locator("a:not([href^='#'])").count() == 0
        assert seen.complaints == []
