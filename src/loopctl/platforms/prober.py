"""Asking a service over HTTP how it is, with httpx."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from loopctl.errors import Problem
from loopctl.model.addresses import keeps_secrets
from loopctl.platforms.host.proxy_headers import OWN_ANSWER
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop, Watched
from loopctl.redact import Secret

if TYPE_CHECKING:
    import httpx

_LONGEST_BODY: Final = 64 * 1024
_OWN_ANSWER: Final = OWN_ANSWER.decode("ascii")


class HttpProber:
    """Each probe has a connection of its own: a kept one would hide a service that takes no new.

    Safe to share by threads.
    """

    def check(self, stop: Stop) -> Sequence[Problem]:
        """Make the client, which takes 0.1 s: the first healthy answer shall not wait for it.

        The environment names proxies and certificates; what is wrong with them is told.
        """
        import httpx  # noqa: PLC0415

        stop.remaining(0)
        try:
            self._client  # noqa: B018 - made when it is first asked for
        except (httpx.InvalidURL, ValueError, OSError, ImportError) as error:
            hint = "look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE"
            return [Problem(f"no HTTP request can be made: {_one_line(error)}", hint=hint)]
        return []

    def get(
        self,
        url: str,
        timeout_s: float,
        follow_redirects: bool,
        stop: Stop,
        bearer: Secret | None = None,
    ) -> Answer | Unreachable:
        """GET `url`; the whole answer must have come after `timeout_s` seconds."""
        import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

        if bearer is not None and not keeps_secrets(url):
            return Unreachable("a token is not sent without TLS: give the service an https:// URL")
        # httpx takes this header off where a redirect leads to another origin.
        headers = {"authorization": f"Bearer {bearer.reveal()}"} if bearer else {}
        limit = stop.remaining(timeout_s)
        began = time.monotonic()
        try:
            with (
                Watched(stop, limit) as watched,
                self._client.stream(
                    "GET",
                    url,
                    headers=headers,
                    timeout=limit,
                    follow_redirects=follow_redirects,
                    extensions={"trace": watched.see},
                ) as response,
            ):
                body = _read(response, began + limit)
        except httpx.TimeoutException:
            return _late(limit)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            stop.remaining(0)
            late = time.monotonic() >= began + limit
            return _late(limit) if late else Unreachable(_one_line(error))
        return Answer(
            status=response.status_code,
            latency_s=time.monotonic() - began,
            body=body.decode("utf-8", "backslashreplace"),
            location=response.headers.get("location"),
            own=_OWN_ANSWER not in response.headers,
        )

    @functools.cached_property
    def _client(self) -> httpx.Client:
        import httpx  # noqa: PLC0415

        # A proxy that the environment names does not reach this machine's own services.
        direct = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
        return httpx.Client(
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"user-agent": "loopctl-prober"},
            mounts=direct,
        )


def _late(limit: float) -> Unreachable:
    return Unreachable(f"no whole answer within {limit:.3g} s")


def _read(response: httpx.Response, deadline: float) -> bytes:
    """The body, cut; an answer that trickles on beyond the deadline is none."""
    import httpx  # noqa: PLC0415

    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk[: _LONGEST_BODY - len(body)]
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer goes on and on")
    return bytes(body)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no answer"
    return f"{type(error).__name__}: {text}"[:300]
