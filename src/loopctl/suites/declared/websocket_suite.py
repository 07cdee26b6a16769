"""Suites of `kind: websocket`: connections at once, each a case, and the events they must bring."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from loopctl.errors import Problem, Stopped
from loopctl.model.evidence import Case, Collection, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.declared.event_loop import run_in_loop
from loopctl.suites.declared.handing_over import handing_over
from loopctl.suites.declared.probe_address import placeholders, trace_of
from loopctl.suites.declared.probe_case import Clean, Running, chosen
from loopctl.suites.declared.probe_ends import end_of
from loopctl.suites.declared.shape_record import ShapeRecord
from loopctl.suites.declared.websocket_probe import case_ids, probe_of

if TYPE_CHECKING:
    from loopctl.suites.declared.websocket_talk import Talk

_OTHER_FILES = 200
"""Files, pipes and sockets that the rest of loopctl may have open meanwhile."""


class WebSocketSuite(Suite):
    """Opens connections and waits for events; safe to share by threads.

    All connections are opened at once. TLS is verified, no redirect followed; a proxy of the
    environment is used, but for this machine's own services. `test_timeout_s` is for a connection
    from its opening to its close. Leaves `shapes.json` in the context's folder: the shape of the
    messages of each event.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._clean = Clean(redactor)

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        """A URL that is none, and more connections than this process may have."""
        problems = []
        try:
            probe_of(spec, placeholders(spec))
        except SuiteError as error:
            problems.append(Problem(error.what, where=error.where, hint=error.hint))
        needed = len(case_ids(spec, self._clean)) + _OTHER_FILES
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if allowed not in (resource.RLIM_INFINITY, -1) and allowed < needed:
            message = f"its connections need {needed} open files, and {allowed} are allowed"
            hint = "raise the limit (`ulimit -Hn`), or ask for fewer connections"
            problems.append(Problem(message, where=f"suite {spec.id}", hint=hint))
        return problems

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection:
        """The connections."""
        return Collection(case_ids(spec, self._clean))

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        """Open them all. Raises `SuiteError` where the URL names no address of this run."""
        return _WebSocketRun(spec, context, self._clean).to_the_end(on, stop)


class _WebSocketRun:
    """One run of a websocket suite."""

    def __init__(self, spec: SuiteSpec, context: SuiteContext, clean: Clean) -> None:
        self._spec, self._context, self._clean = spec, context, clean
        self._probe = probe_of(spec, context.endpoints)
        ids = case_ids(spec, clean)
        wanted, self._missing = chosen(ids, context.only)
        self._ids = [name for name in ids if name in wanted]
        self._shapes = ShapeRecord(clean.name, context.baseline)
        self._open: dict[str, Talk] = {}
        self._binary = self._no_json = 0

    def to_the_end(self, on: Callable[[Case], None], stop: Stop) -> SuiteEnd:
        _allow_files(len(self._ids) + _OTHER_FILES)
        began = time.monotonic()
        name = f"suite {self._spec.id}"
        stopped = None
        with handing_over(name, on, stop) as (hand, either):
            with either.child(self._spec.suite_timeout_s) as limit:
                try:
                    run_in_loop(name, lambda: self._all(hand), limit)
                except Stopped:
                    either.remaining(0)
                    stopped = "suite timeout"
            for talk in self._open.values():
                self._settle(talk)
                hand(talk.running.timed_out(self._spec.suite_timeout_s))
        self._shapes.write(self._context.folder)
        return end_of(
            count=len(self._ids),
            not_started=(),
            missing=self._missing,
            duration_s=time.monotonic() - began,
            stopped=stopped,
            notes=(*self._shapes.notes(), *self._odd()),
        )

    async def _all(self, hand: Callable[[Case], None]) -> None:
        from loopctl.suites.declared.websocket_client import tls_for  # noqa: PLC0415 - imports websockets
        from loopctl.suites.declared.websocket_talk import Talk  # noqa: PLC0415

        address = self._probe.address
        self._introduce()
        tls = tls_for(address)
        async with asyncio.TaskGroup() as group:
            for name in self._ids:
                trace = trace_of(self._spec, self._context, name, address)
                self._open[name] = Talk(
                    self._probe,
                    Running(name, trace),
                    tls,
                    self._spec.test_timeout_s,
                    self._clean,
                    self._shapes,
                )
                group.create_task(self._one(self._open[name], hand))

    def _introduce(self) -> None:
        address, headers = self._probe.address, self._probe.headers
        value = self._context.authorization(address.target, address.url)
        if value is not None:
            self._probe = replace(self._probe, headers={"authorization": value, **headers})

    async def _one(self, talk: Talk, hand: Callable[[Case], None]) -> None:
        await talk.run()
        self._settle(talk)
        del self._open[talk.running.id]
        hand(talk.running.ended())

    def _settle(self, talk: Talk) -> None:
        talk.account()
        self._binary += talk.odd.binary
        self._no_json += talk.odd.no_json

    def _odd(self) -> list[str]:
        counted = ((self._binary, "binary"), (self._no_json, "not JSON"))
        return [f"messages that were {what}: {number}" for number, what in counted if number]


def _allow_files(needed: int) -> None:
    """Raise the soft limit of open files where it is too low; it stays, as others may count on it.

    1,024 is usual, and 1,000 connections are allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        highest = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
