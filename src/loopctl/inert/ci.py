"""Text in the log of a CI system, which takes certain lines for commands."""

import re
from typing import Final

from loopctl.inert.characters import for_terminal

# GitHub's runner trims white space before it looks for `::`; `##[` counts anywhere in a line.
_LINE_COMMAND: Final = re.compile(r"^(?=[^\S\n]*::)", re.MULTILINE)
_HASH_COMMAND: Final = re.compile(r"#(?=#(?:\[|[a-z]{1,16}\[))", re.IGNORECASE)
_SECTION: Final = re.compile(r"section(?=_(?:start|end):)")


def for_ci(text: str, *, keep_newlines: bool = False) -> str:
    r"""Text that a CI system prints and does not obey.

    A visible backslash disarms `::error::` at the start of a line (GitHub), `##[…]` and
    `##vso[…]` (GitHub, Azure), `##teamcity[…]` and `section_start:` (GitLab). It is no part of a
    command of our own: that is what `workflow_data` and `workflow_property` are for.
    """
    shown = for_terminal(text, keep_newlines=keep_newlines)
    if "::" in shown:
        shown = _LINE_COMMAND.sub(r"\\", shown)
    return _without_hashes(shown)


def json_for_ci(document: str) -> str:
    r"""JSON that means the same and holds no command of a CI system: `##[` is `\u0023#[` there.

    A line of JSON never begins with `::`. The first character of a command is inside a string and
    no part of an escape, so that it may be written as one.
    """
    shown = _HASH_COMMAND.sub(r"\\u0023", document)
    return _SECTION.sub(r"\\u0073ection", shown)


def workflow_data(text: str) -> str:
    """Text as the message of a command of GitHub's runner; its newlines stay newlines.

    Source: ActionCommand.cs of actions/runner, which undoes `%0A`, `%0D` and at last `%25`.
    """
    shown = _without_hashes(for_terminal(text, keep_newlines=True))
    return shown.replace("%", "%25").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """Text as the value of a property of such a command, on one line."""
    shown = _without_hashes(for_terminal(text)).replace("%", "%25")
    return shown.replace(":", "%3A").replace(",", "%2C")


def _without_hashes(shown: str) -> str:
    shown = _HASH_COMMAND.sub(r"#\\", shown)
    return _SECTION.sub(r"section\\", shown)
