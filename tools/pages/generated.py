"""Which files are made, not written."""

from __future__ import annotations

from pages import api_reference, loop_reference, state_diagram, state_machine


def files() -> dict[str, str]:
    """Their text, by path from the root of the repository."""
    return {
        "docs/loop-file-reference.md": loop_reference.page(),
        "docs/python-api-reference.md": api_reference.page(),
        "docs/state-machine.md": state_machine.page(),
        "docs/state-machine.svg": state_diagram.svg(),
        "loop.schema.json": loop_reference.schema_text(),
    }
