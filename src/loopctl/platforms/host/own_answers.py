"""The answers that the front door gives itself, each marked so that nobody blames the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import h11

from loopctl.platforms.host.proxy_headers import OWN_ANSWER


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """A status, the word that marks it in the header and in the request log, and plain text."""

    status: int
    mark: str
    text: str

    def events(self, *, head_only: bool, closing: bool) -> list[h11.Event]:
        """Return the answer as h11 events; `closing` tells the client to expect an end."""
        body = f"loopctl front door: {self.text}\n".encode()
        headers = [
            (OWN_ANSWER, self.mark.encode("ascii")),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode("ascii")),
            *([(b"connection", b"close")] if closing else []),
        ]
        head = h11.Response(status_code=self.status, headers=headers)
        return [head, *([] if head_only else [h11.Data(data=body)]), h11.EndOfMessage()]


NO_UPSTREAM: Final = OwnAnswer(503, "no-upstream", "no revision of this service takes traffic now")
NO_TUNNEL: Final = OwnAnswer(405, "no-connect", "CONNECT is not served here")
HEAD_TIMEOUT: Final = OwnAnswer(408, "head-timeout", "the request's head did not come to its end")

_FAULTS: Final = {
    "upstream-refused": (502, "nothing listens where this revision should"),
    "upstream-unreachable": (502, "this revision cannot be reached"),
    "upstream-timeout": (504, "this revision did not accept a connection in time"),
    "upstream-closed": (502, "this revision ended the connection before it answered"),
    "upstream-protocol": (502, "this revision's answer is not HTTP/1.1"),
}


def for_fault(mark: str) -> OwnAnswer:
    """Return the answer for an `UpstreamError`."""
    status, text = _FAULTS[mark]
    return OwnAnswer(status, mark, text)


def for_bad_request(status: int) -> OwnAnswer:
    """Return the answer for a request that h11 refused, with the status it suggests."""
    if status == 431:
        return OwnAnswer(431, "head-too-large", "the request's head is too large")
    return OwnAnswer(status, "bad-request", "this is not a request in HTTP/1.1")
