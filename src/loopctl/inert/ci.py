"""Text in the log of a CI system, which takes certain lines for commands."""

import re
from typing import Final

from loopctl.inert.characters import for_terminal

# GitHub's runner trims white space before it looks for `::`; `##[` counts anywhere in a line.
_LINE_COMMAND: Final = re.compile(r"^(?=[^\S\n]*::)", re.MULTILINE)
_HASH_COMMAND: Final = re.compile(r"#(?=#(?:\[|[a-z]{1,16}\[))", re.IGNORECASE)
_SECTION: Final = re.compile(r"section(?=_(?:start|end):)")
_ENCODED: Final = re.compile(r"%(?=0[AaDd]|25|2[Cc]|3[Aa])")


def for_ci(text: str, *, keep_newlines: bool = False) -> str:
    r"""Text that a CI system prints and does not obey.

    A visible backslash disarms `::error::` at the start of a line (GitHub), `##[…]` and
    `##vso[…]` (GitHub, Azure), `##teamcity[…]` and `section_start:` (GitLab). `%0A` and its like
    become `%250A`, so that the text may also be the message of a workflow command.
    """
    shown = for_terminal(text, keep_newlines=keep_newlines)
    if "::" in shown:
        shown = _LINE_COMMAND.sub(r"\\", shown)
    shown = _HASH_COMMAND.sub(r"#\\", shown)
    shown = _SECTION.sub(r"section\\", shown)
    return _ENCODED.sub("%25", shown)
