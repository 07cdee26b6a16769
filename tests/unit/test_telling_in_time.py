"""Telling others how a run ended: what they do with their time keeps nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from announced import ended

from loopctl.api.announcing import tell
from loopctl.ports.announcer import AnnounceError, Announcement, Announcer
from loopctl.process import Stop
from loopctl.redact import Redactor


class Scripted(Announcer):
    """One that does what a test says."""

    def __init__(self, does: str) -> None:
        self._does = does
        self.asked = threading.Event()

    @property
    def name(self) -> str:
        return f"what {self._does}"

    def announce(self, run: Announcement, stop: Stop) -> Sequence[str]:
        self.asked.set()
        match self._does:
            case "waits":
                stop.wait(60.0)
            case "hears of nothing":
                threading.Event().wait(60.0)
            case "refuses":
                raise AnnounceError("refused with tok-12345678")
            case "breaks":
                raise KeyError("tok-12345678")
            case _:
                pass
        return ("told",)


def test_a_signal_ends_the_telling_at_once_and_those_who_were_told_stay_told() -> None:
    waits, deaf, done = Scripted("waits"), Scripted("hears of nothing"), Scripted("answers")
    stop = Stop()

    def signalled() -> None:
        for each in (waits, deaf, done):
            each.asked.wait(10.0)
        stop.stop("SIGTERM")

    threading.Thread(target=signalled, daemon=True).start()
    began = time.monotonic()
    told = tell([waits, deaf, done], ended(), Redactor({}), stop)
    assert time.monotonic() - began < 5.0
    assert [each.trouble for each in told] == [
        "what waits was not made: stopped by SIGTERM",
        "what hears of nothing was not made: stopped by SIGTERM",
        None,
    ]
    assert told[2].done == ("told",)


def test_a_refusal_and_a_fault_are_told_without_a_secret() -> None:
    redactor = Redactor({"token": "tok-12345678"})
    told = tell([Scripted("refuses"), Scripted("breaks")], ended(), redactor, Stop())
    assert all(each.trouble for each in told)
    assert not any("tok-12345678" in str(each) for each in told)
