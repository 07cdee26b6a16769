"""Writes all that is generated; `make docs` runs it, a test keeps it in step."""

from __future__ import annotations

from pathlib import Path

from pages.generated import files

if __name__ == "__main__":
    for name, text in files().items():
        (Path(__file__).parents[2] / name).write_text(text, encoding="utf-8")
