"""What is generated in docs/ is what would be generated now."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.generated import pages

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", pages())
def test_the_page_is_in_step_with_what_it_tells_of(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run: make docs"
