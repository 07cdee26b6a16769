"""Which files in `docs/` are made, not written."""

from __future__ import annotations

from pages import api_reference, state_machine


def pages() -> dict[str, str]:
    """Their text, by name in `docs/`."""
    return {
        "python-api-reference.md": api_reference.page(),
        "state-machine.md": state_machine.page(),
    }
