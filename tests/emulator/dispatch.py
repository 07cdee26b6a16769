"""The one way to every method, by whichever channel: recorded, and faulty on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message

from emulator.faults import Fault, Faults
from emulator.quirks import Quirks
from emulator.rpc import Call, Rpc, RpcFault, StreamRpc
from emulator.run_state import copied


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call as it came in. `at` is seconds since the epoch, `channel` is `grpc` or `rest`."""

    at: float
    channel: str
    call: Call
    request: Any = None

    @property
    def method(self) -> str:
        return self.call.method


@dataclass(slots=True)
class Dispatcher:
    """Answers calls. After `closing` is set, no slow answer is waited for."""

    rpcs: list[Rpc | StreamRpc]
    faults: Faults
    closing: threading.Event = field(default_factory=threading.Event)
    calls: list[Recorded] = field(default_factory=list)
    quirks: Quirks = field(default_factory=Quirks)
    _current: threading.local = field(default_factory=threading.local)

    def of(self, kind: type[Rpc]) -> Iterable[Rpc]:
        return (rpc for rpc in self.rpcs if isinstance(rpc, kind))

    def answer(self, rpc: Rpc, request: Message, call: Call, channel: str) -> Message:
        """The answer. Raises `RpcFault`, and `Drop` where the connection is to be cut."""
        fault = self._current.fault = self.admit(call, channel, request)
        if fault.answer is not None:
            return fault.answer
        answer = self._handled(rpc, request, call)
        if fault.error is not None:
            raise fault.error
        return self.quirks.answer(call, answer)

    def admit(self, call: Call, channel: str, request: Message | None = None) -> Fault:
        """Record a call, and let go wrong what is to go wrong before it has an effect."""
        copy = copied(request) if request is not None else None
        self.calls.append(Recorded(time.time(), channel, call, copy))
        fault = self.faults.of_call(call.method)
        self.closing.wait(fault.delay_s)
        if fault.error is not None and not fault.after:
            raise fault.error
        return fault

    def current_fault(self) -> Fault:
        """The fault of the call that this thread answers."""
        fault = getattr(self._current, "fault", None)
        return fault if isinstance(fault, Fault) else Fault()

    def _handled(self, rpc: Rpc, request: Message, call: Call) -> Message:
        try:
            return rpc.handle(request, call)
        except RpcFault:
            raise
        except Exception as error:
            text = f"the emulator failed in {call}: {type(error).__name__}: {error}"
            raise RpcFault(grpc.StatusCode.INTERNAL, text) from error
