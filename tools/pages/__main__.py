"""Writes the generated parts of `docs/`; `make docs` runs it, a test keeps them in step."""

from __future__ import annotations

from pathlib import Path

from pages.generated import pages

if __name__ == "__main__":
    for name, text in pages().items():
        (Path(__file__).parents[2] / "docs" / name).write_text(text, encoding="utf-8")
