"""Text in a message of a chat: Slack, Teams, and those whose markup nobody knows beforehand."""

import re
from typing import Final

from loopctl.inert.characters import for_terminal

_ZERO_WIDTH_SPACE: Final = "\u200b"

# Where a sign begins something that acts: a mention, a tag or Slack's `<!channel>`, a link, a
# function of Adaptive Cards, an emoji. Own text cannot bring a zero-width space along.
_ACTS: Final = re.compile(
    r"[@<](?=\S)|#(?=[a-z])|\](?=[(\[])|[{$](?=\{)|:(?=//)|(?<=www)(?=\.)"
    r"|(?<!\d):(?=\d{0,32}[a-z_+-][a-z0-9_+-]{0,64}:)",
    re.IGNORECASE | re.ASCII,
)
_SLACK: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def for_chat(text: str) -> str:
    """Text on one line that a chat shows and does not obey: no mention, link, tag or emoji.

    A zero-width space takes each its effect. Asterisks and their kin stay as they are.
    """
    return _ACTS.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, for_terminal(text))


def for_slack(text: str) -> str:
    """The same, with `&`, `<` and `>` as Slack wants them in every text that it is given.

    Source: "Formatting message text", Slack's documentation.
    """
    return for_chat(text).translate(_SLACK)
