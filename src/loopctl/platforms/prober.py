"""Asking a service over HTTP how it is, with httpx."""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from loopctl.errors import Problem, Stopped
from loopctl.platforms.host.proxy_headers import OWN_ANSWER
from loopctl.ports.probe import Answer, Unreachable
from loopctl.process import Stop, TaskScope

if TYPE_CHECKING:
    import httpx

_LOOKS_EVERY_S: Final = 0.05
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
        self, url: str, timeout_s: float, follow_redirects: bool, stop: Stop
    ) -> Answer | Unreachable:
        """GET `url`; the whole answer must have come after `timeout_s` seconds."""
        import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

        limit = stop.remaining(timeout_s)
        began = time.monotonic()
        try:
            with (
                _Watched(stop, limit) as watched,
                self._client.stream(
                    "GET",
                    url,
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


class _Watched:
    """Cuts the connections of one probe when it is stopped, or when its time is up.

    httpx's own limits are for each operation: a chain of redirects, or a head that comes byte by
    byte, would outlast them all, and a blocked read hears of no signal.
    """

    def __init__(self, stop: Stop, limit: float) -> None:
        self._stop = stop
        self._deadline = time.monotonic() + limit
        self._over = Stop()
        self._scope = TaskScope(Stop())
        self._sockets: list[socket.socket] = []

    def see(self, name: str, info: Mapping[str, Any]) -> None:
        """Told by httpcore of every step; a connection that was made is one to cut."""
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            made = info["return_value"].get_extra_info("socket")
            if made is not None:
                self._sockets.append(made)
            if self._is_up():
                self._cut()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._scope.start("probe", self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.stop("the probe has ended")
        self._scope.__exit__(None, None, None)

    def _watch(self, _: Stop) -> None:
        with contextlib.suppress(Stopped):
            while not self._is_up():
                self._over.wait(_LOOKS_EVERY_S)
            self._cut()

    def _is_up(self) -> bool:
        return self._stop.reason is not None or time.monotonic() >= self._deadline

    def _cut(self) -> None:
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


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
