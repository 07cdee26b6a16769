"""Wrappers of Python's own sockets: names that are resolved, connects and closes.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import _socket
import socket
import warnings
from typing import TYPE_CHECKING, Any

from loopctl_guard import guarded
from loopctl_patches import around

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopctl_connections import Connections
    from loopctl_patches import Patches, Wrapper
    from loopctl_targets import Targets

# Bound now: tests replace it.
_InC = _socket.socket


class Sockets:
    """What is put around Python's sockets.

    `led(socket, *arguments)` are what a connect is given instead of its arguments; None to leave
    them as they are.
    """

    def __init__(
        self, targets: Targets, connections: Connections, led: Callable[..., tuple[object] | None]
    ) -> None:
        self._targets, self._connections, self._led = targets, connections, led

    def install(self, patches: Patches, *, withholds: bool) -> None:
        """Watch Python's own; `withholds`: a connect may be refused, too."""
        wrap, closing = patches.wrap, self._connections.closing
        wrap(socket, "getaddrinfo", around(after=self._resolved))
        wrap(socket.socket, "connect", self._connect)
        if withholds:
            wrap(socket.socket, "connect_ex", self._connect_ex)
        wrap(socket.socket, "_real_close", around(closing))
        # A client that is dropped unclosed ends in the finalizer: its bytes are read there.
        wrap(socket.socket, "__del__", self._finalize)

    def hooks(self) -> list[tuple[str, Wrapper]]:
        """Sockets that take the place of Python's own: gevent's, once it has patched everything."""
        return [("gevent._socket3:socket._real_close", around(self._connections.closing))]

    @guarded
    def _resolved(self, answers: Any, host: Any, *_: object, **__: object) -> None:
        self._targets.remember(host, answers)

    def _finalize(self, original: Any) -> Any:
        """The finalizer in C, which warns of an unclosed socket at the frame that runs.

        That is to be the suite's own, as its filters for warnings name modules.
        """
        closing, warn = self._connections.closing, warnings.warn

        def finalize(sock: Any) -> None:
            closing(sock)
            if not isinstance(sock, _InC) or sock.fileno() == -1:
                original(sock)
                return
            try:
                warn(f"unclosed {sock!r}", ResourceWarning, 2, sock)
            except Warning:  # a filter makes it an error, which nobody but C can tell of a socket
                with warnings.catch_warnings():
                    warnings.simplefilter("error", ResourceWarning)
                    original(sock)
            else:
                _InC.close(sock)

        return finalize

    def _connect(self, original: Any) -> Any:
        led, refused = self._led, self._connections.refused

        def connect(sock: Any, *args: Any) -> Any:
            __tracebackhide__ = True
            try:
                return original(sock, *(led(sock, *args) or args))
            except OSError as problem:
                refused(sock, problem)
                raise

        return connect

    def _connect_ex(self, original: Any) -> Any:
        """An audit hook can only raise; this call's own way to say so is a number."""
        led = self._led

        def connect_ex(sock: Any, *args: Any) -> Any:
            try:
                return original(sock, *(led(sock, *args) or args))
            except ConnectionRefusedError as problem:
                return problem.errno

        return connect_ex
