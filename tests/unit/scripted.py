"""What scripted ports share: real subclasses of the loop's Protocols, and strict ones.

Each keeps its calls in words (`route chat chat-new=100`), raises what `fails` says for a call,
runs what `hooks` says when one arrives and what `after` says when its effect has happened, and
refuses what no honest caller would do. What belongs to a process that was killed hears nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn


class UnexpectedCall(AssertionError):
    """A port was asked for something that this test did not foresee."""


class Killed(BaseException):
    """The process that the code under test runs in was killed.

    Raised where it happened and again at everything the dead would do next, so that nothing of it
    reaches the world: no handler of the product knows it.
    """


class Life:
    """The life of one process."""

    def __init__(self) -> None:
        self.is_over = False

    def end(self) -> None:
        """Nothing of it happens any more."""
        self.is_over = True

    def check(self) -> None:
        """Raise `Killed` where a dead process would act."""
        if self.is_over:
            raise Killed


@dataclass
class Scripted:
    """What every fake shares: calls in words, failures and hooks by the start of a call's words."""

    calls: list[str] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    life: Life = field(default_factory=Life)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def happened(self, words: str) -> None:
        """The effect of that call is in the world; whether its caller hears of it is open."""
        for start, hook in list(self.after.items()):
            if words.startswith(start):
                hook()

    def called(self, words: str) -> None:
        """Note the call; its hook runs first, then its failure is raised."""
        self.life.check()
        with self._lock:
            self.calls.append(words)
        for start, hook in list(self.hooks.items()):
            if words.startswith(start):
                hook()
        for start, error in self.fails.items():
            if words.startswith(start):
                raise error

    def unexpected(self, words: str) -> NoReturn:
        """No stage of the loop does that."""
        raise UnexpectedCall(words)

    def effects(self, *verbs: str) -> list[str]:
        """The calls of these verbs, in order."""
        return [call for call in self.calls if call.split()[0] in verbs]
