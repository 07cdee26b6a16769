"""Where a frame is, said so that every copy of the code says the same."""

from __future__ import annotations

import pytest

from loopctl.triage.traceback import StackFrame


def place(file: str) -> str:
    return StackFrame(file, 7, "total", "", 1).place


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("/x/.loopctl/w/store-00002-f7r/books.py", "books.py:total"),
        ("/x/.loopctl/w/My_Store-00031-9zz/books.py", "books.py:total"),
        ("/x/.loopctl/w/store-00002-f7r/shop/books.py", "shop/books.py:total"),
        ("/app/books.py", "app/books.py:total"),
        ("C:\\shop\\books.py", "shop/books.py:total"),
        ("books.py", "books.py:total"),
        ("/srv/2026-00002-plans/books.py", "2026-00002-plans/books.py:total"),
    ],
)
def test_a_folder_named_as_a_revision_is_no_part_of_a_place(file: str, said: str) -> None:
    assert place(file) == said
