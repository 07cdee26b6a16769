"""Answers of Google's front end, told from a service's own. Pure.

The pages are quoted in public by many who met them; no Google document states them.
"""

from __future__ import annotations

import re
from typing import Literal

FrontEndAnswer = Literal["not-admitted", "not-led-there"]
"""`not-admitted`: the caller may not invoke the service, or its token is none that counts.
`not-led-there`: what was asked for does not lead to the service: its ingress keeps the caller
out, the path is the front end's own, or there is no service.
"""

_NOT_ADMITTED = {
    401: re.compile(r"Your client does not have permission to the requested URL"),
    403: re.compile(r"Your client does not have permission to get URL"),
}
_NOT_LED_THERE = {
    403: re.compile(r"<h1>Error: Forbidden</h1>\s*<h2>Access is forbidden"),
    # Apache's own page has the same sentence: it says so under another heading.
    404: re.compile(
        r"<title>Error 404 \(Not Found\)!!1</title>"
        r"|The requested URL [^\n]{0,999}was not found on this server\.\s*<ins>That[^<]{1,9}all we"
        r"|<h1>Error: Page not found</h1>\s*<h2>The requested URL was not found on this server"
    ),
}
_LOOKED_AT = 16 * 1024


def front_end_answer(status: int, body: str) -> FrontEndAnswer | None:
    """What Google's front end says by an answer, None for one that is not its own."""
    text = body[:_LOOKED_AT]
    if (known := _NOT_ADMITTED.get(status)) is not None and known.search(text):
        return "not-admitted"
    if (known := _NOT_LED_THERE.get(status)) is not None and known.search(text):
        return "not-led-there"
    return None
