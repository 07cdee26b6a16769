"""Which files in `docs/` are made, not written."""

from __future__ import annotations

from pages import state_machine


def pages() -> dict[str, str]:
    """Their text, by name in `docs/`."""
    return {"state-machine.md": state_machine.page()}
