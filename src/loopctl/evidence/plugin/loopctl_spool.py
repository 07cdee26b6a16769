"""The file of events, and the key that signs its lines.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time

from loopctl_text import clean

_MOST_PROBLEMS = 20


class Spool:
    """The file of events: one write(2) a line, on O_APPEND, so that a killed process loses none.

    A test can write into that file too. So each line begins with a keyed hash of its text, by a
    key that lies beside the file until it is read, which is before any code of the suite runs.
    """

    def __init__(self, path: str) -> None:
        self.worker: str | None = None
        self.forked = False
        self._is_of_test = False
        self._path = path
        self._fd: int | None = None
        self._inode = 0
        self._seq = itertools.count(1)
        self._problems = itertools.count(1)
        self.key = _taken_key(path)
        # A worker of xdist is told the key by its controller, a moment after its first lines.
        self._held: list[bytes] | None = [] if _is_unkeyed_worker(self.key) else None
        # Bound now, on an instance: tests freeze clocks and mock os by their module attributes.
        self._write, self._fstat, self._open = os.write, os.fstat, os.open
        # Some replace the code of `time.time` itself. No one does that to this clock.
        self._clock = time.perf_counter
        self._ahead = time.time() - self._clock()
        self._dumps, self._getpid = json.dumps, os.getpid

    def now(self) -> float:
        """Seconds since the epoch, whatever time the suite pretends it is."""
        return self._ahead + self._clock()

    def emit(self, event: str, **fields: object) -> None:
        """Write a line, once there is a key to sign it with."""
        if self._is_of_test and event != "child-contact":
            return
        line: dict[str, object] = {"e": event, "t": self.now(), "seq": next(self._seq)}
        line.update(pid=self._getpid(), worker=self.worker, **fields)
        text = self._dumps(line, default=repr).encode("ascii")
        if self._held is not None:
            self._held.append(text)
        else:
            self._put(text)

    def use_key(self, key: bytes | None) -> None:
        """Write what had to wait for the key, and everything from now on."""
        self.key = key or self.key
        held, self._held = self._held or [], None
        for text in held:
            self._put(text)

    def hand_on(self) -> None:
        """Put the key back for the pytest that takes this one's place, as some conftest files do.

        Not once there is a line: the numbers of both would be those of one process.
        """
        if self.key is not None and self._inode == 0 and not self.forked:
            fd = self._open(self._path + ".key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._write(fd, self.key)

    def _put(self, text: bytes) -> None:
        signed = _signature(text, self.key) + b" " + text if self.key else text
        data = memoryview(signed + b"\n")
        fd = self._descriptor()
        while data:
            data = data[self._write(fd, data) :]

    def problem(self, where: str, problem: BaseException) -> None:
        """Report a fault of the plugin itself, and survive even a spool that cannot be written."""
        if next(self._problems) > _MOST_PROBLEMS:
            return
        text = clean(problem, 2000)
        with contextlib.suppress(Exception):  # nobody is left to tell, and the test must go on
            self.emit("plugin-error", where=where, type=type(problem).__name__, message=text)

    def reopen_in_child(self, *, is_of_test: bool) -> None:
        """Go on in a forked child; one that a test made has no say in how that test ended."""
        self.forked = True
        self._is_of_test = self._is_of_test or is_of_test
        self._fd = None

    def _descriptor(self) -> int:
        # A test may close descriptors it does not own; the number then names another file.
        if self._fd is not None:
            try:
                if self._fstat(self._fd).st_ino == self._inode:
                    return self._fd
            except OSError:
                pass
        self._fd = self._open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._inode = self._fstat(self._fd).st_ino
        return self._fd


def _taken_key(path: str) -> bytes | None:
    """The key beside the spool, which nobody finds there again; None where there is none."""
    try:
        with open(path + ".key", "rb") as file:  # noqa: PTH123
            key = file.read()
        os.unlink(path + ".key")  # noqa: PTH108
    except OSError:
        return None
    return key


def _is_unkeyed_worker(key: bytes | None) -> bool:
    return key is None and "PYTEST_XDIST_WORKER" in os.environ


def _signature(text: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest().encode("ascii")
