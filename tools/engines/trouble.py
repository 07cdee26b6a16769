"""What this tool could not do, in words for the person at the terminal."""

from __future__ import annotations


class CannotError(Exception):
    """What happened; `remedy` says what to do about it."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy

    def __str__(self) -> str:
        what = super().__str__()
        return f"{what}\n{self.remedy}" if self.remedy else what
