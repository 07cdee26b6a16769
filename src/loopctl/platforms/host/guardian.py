"""A second, tiny process of the host that kills the services should the host be killed.

The wish to die with the parent reaches a service's first process only; what that has started in
turn would live on. The guardian holds the host's lock too, so that no new host starts before the
old one's services are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal

from loopctl.platforms.host import process_tree


class Guardian:
    """The host's end of the pipe to its guardian."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        #: The sessions of all services that have not been seen to end.
        self.sessions: set[int] = set()

    def watch(self, session: int, revision: str, port: int) -> None:
        """From now on kill this service when the host is gone."""
        self.sessions.add(session)
        self._tell(f"+ {session} {revision} {port}\n")

    def forget(self, session: int) -> None:
        """The service has ended."""
        self.sessions.discard(session)
        self._tell(f"- {session}\n")

    def _tell(self, line: str) -> None:
        # Shorter than PIPE_BUF, so it arrives whole. Without its guardian, should somebody have
        # killed it, the host goes on: the services' first processes still die with it.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode("ascii"))


def start_guardian(closing: int) -> Guardian:
    """Fork the guardian; call before there is any thread or event loop.

    `closing` is a descriptor that it must not keep open.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(reader)
        return Guardian(writer)
    os.close(writer)
    os.close(closing)
    try:
        _guard(reader)
    finally:
        os._exit(0)


def _guard(pipe: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[int, tuple[str, int]] = {}
    with os.fdopen(pipe, encoding="ascii") as lines:
        for line in lines:
            sign, session, *rest = line.split()
            if sign == "+":
                watched[int(session)] = (rest[0], int(rest[1]))
            else:
                watched.pop(int(session), None)
    for group, (revision, port) in watched.items():
        process_tree.kill_service(group, revision, port)
