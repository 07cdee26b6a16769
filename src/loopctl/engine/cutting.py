"""Ending a blocked read or write of a connection the moment that somebody stops."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from loopctl.errors import Stopped
from loopctl.process import Stop, TaskScope

if TYPE_CHECKING:
    import requests

_LOOKS_EVERY_S: Final = 0.05


@contextlib.contextmanager
def cut_when_stopped(connection: socket.socket, stop: Stop) -> Iterator[None]:
    """Within it the connection waits without a limit of its own, and breaks when `stop` stops."""
    connection.settimeout(None)
    over = Stop()

    def watch(_: Stop) -> None:
        with contextlib.suppress(Stopped):
            while stop.reason is None:
                over.wait(_LOOKS_EVERY_S)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    with TaskScope(Stop()) as scope:
        scope.start("cut when stopped", watch)
        try:
            yield
        finally:
            over.stop("the conversation has ended")


@contextlib.contextmanager
def answer_cut_when_stopped(response: requests.Response, stop: Stop) -> Iterator[None]:
    """The same for the SDK's answer that is read as it comes; what broke for that is `Stopped`."""
    connection = response.raw.connection
    found = None if connection is None else connection.sock
    assert isinstance(found, socket.socket), "the answer was read to its end already"
    with cut_when_stopped(found, stop):
        try:
            yield
        except Exception:
            stop.remaining(0)
            raise
        # A cut stream looks like one that has come to its end.
        stop.remaining(0)
