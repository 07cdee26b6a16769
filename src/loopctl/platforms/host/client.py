"""Talking to a host: one connection a call, so that any thread may and none waits for another."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loopctl.platforms.host.control import LONGEST_LINE, Fields, parse_answer, request_line
from loopctl.platforms.host.limits import GRACE_VARIABLE, LAPSE_VARIABLE
from loopctl.platforms.host.rendezvous import Rendezvous
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop, capture

#: Seconds that a host has to become ready; a killed one's services may have to go first.
START_LIMIT_S: Final = 10.0
_SLICE_S: Final = 0.2
_SHOWN_LINES: Final = 5
# The host lives long and holds no credential of the run that happened to start it.
_HOST_ENVIRONMENT: Final = (
    "PATH", "HOME", "LANG", "TMPDIR", "TZ", "LOOPCTL_RUNTIME_DIR", "PYTHONPATH",
    LAPSE_VARIABLE, GRACE_VARIABLE,
)  # fmt: skip


class HostAbsentError(PlatformError):
    """No host runs for this environment."""


class HostSilentError(PlatformError):
    """A host runs but did not answer in time: what it did is not known."""


class HostClient:
    """A client of one environment's host. Safe to share by threads."""

    def __init__(self, place: Rendezvous) -> None:
        self.place = place

    def call(
        self, verb: str, args: Mapping[str, object], stop: Stop, timeout_s: float = 10.0
    ) -> Fields:
        """Ask the host.

        Raises `HostAbsentError`, `HostSilentError` after `timeout_s`, what the host raised
        (`PlatformError`, `LeaseLost`, `ProtocolError`), and `Stopped`.
        """
        line = request_line(verb, args)
        deadline = time.monotonic() + timeout_s
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(stop.remaining(5))
            try:
                connection.connect(str(self.place.socket))
                connection.sendall(line)
                answer = self._read_line(connection, deadline, stop)
            except TimeoutError:
                raise self._silent(timeout_s) from None
            except (FileNotFoundError, ConnectionError):
                raise HostAbsentError(
                    "no host runs for this environment",
                    where=str(self.place.socket),
                    hint=f"its last words are in {self.place.log}",
                ) from None
            except OSError as error:
                raise PlatformError(
                    f"the host cannot be asked: {error.strerror}", where=str(self.place.socket)
                ) from None
        return parse_answer(answer)

    def ensure(self, stop: Stop) -> None:
        """See that a host runs. Raises `PlatformError` with the host's last words if none will."""
        with contextlib.suppress(HostAbsentError):
            self.call("hello", {}, stop)
            return
        self.place.prepare()
        command = [sys.executable, "-P", "-m", "loopctl.platforms.host"]
        where = (self.place.root, self.place.environment, self.place.state.parent.parent)
        environment = {name: os.environ[name] for name in _HOST_ENVIRONMENT if name in os.environ}
        with stop.child(START_LIMIT_S) as limit:
            ended, _, said = capture(
                [*command, *map(str, where)], cwd=Path("/"), env=environment, stop=limit
            )
        stop.remaining(0)
        if ended.code != 0:
            raise PlatformError(
                "the host process could not be started",
                where=str(self.place.log),
                hint=said.decode("utf-8", "replace").strip() or self._last_words(),
            )

    def state(self, stop: Stop) -> Path:
        """The folder of logs and revisions: the host's own, whoever started it.

        Without a host it is the one of this client's runs folder. Raises `PlatformError`.
        """
        try:
            return Path(self.call("hello", {}, stop).text("state"))
        except HostAbsentError:
            return self.place.state

    def _read_line(self, connection: socket.socket, deadline: float, stop: Stop) -> bytes:
        answer = bytearray()
        while not answer.endswith(b"\n"):
            if time.monotonic() > deadline or len(answer) > LONGEST_LINE:
                raise TimeoutError
            connection.settimeout(stop.remaining(_SLICE_S))
            with contextlib.suppress(TimeoutError):
                chunk = connection.recv(65536)
                if not chunk:
                    raise ConnectionResetError
                answer += chunk
        return bytes(answer)

    def _silent(self, timeout_s: float) -> HostSilentError:
        return HostSilentError(
            f"the host did not answer within {timeout_s:g} s",
            where=str(self.place.socket),
            hint=f"its log is {self.place.log}",
        )

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.place.log.read_text("utf-8", "replace").splitlines()
            return "its log ends in: " + "\n".join(lines[-_SHOWN_LINES:])
        return "it left no word"
