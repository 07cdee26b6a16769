"""Suites of `kind: http`: each request is a case, asked one after the other on one pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopctl.errors import Problem, Stopped
from loopctl.model.evidence import Case, Collection, HttpExchange, Sample, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.declared.event_loop import run_in_loop
from loopctl.suites.declared.http_client import Asked, HttpClient, new_client
from loopctl.suites.declared.http_request import HttpRequest, document_of, faults_of, requests_of
from loopctl.suites.declared.probe_address import Address, placeholders, trace_of, traceparent
from loopctl.suites.declared.probe_case import Clean, Running, chosen
from loopctl.suites.declared.probe_ends import end_of
from loopctl.suites.declared.shape_record import ShapeRecord

if TYPE_CHECKING:
    import httpx


class HttpSuite(Suite):
    """Asks what the loop file says; safe to share by threads.

    Redirects are not followed, cookies not kept, TLS is verified; a proxy of the environment is
    used, but for this machine's own services. A service that wants a token is sent one, but where
    the request has an Authorization header. `test_timeout_s` is for each request whole. Leaves
    `shapes.json` in the context's folder: the shape of each answer that is JSON.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._clean = Clean(redactor)

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        """URLs, headers and bodies that cannot be sent, and what the environment says wrongly."""
        import httpx  # noqa: PLC0415 - costs 100 ms that most commands need not spend

        problems = []
        for request in requests_of(spec, self._clean):
            try:
                sample = request.filled(placeholders(spec), spec.id)
                sample.address({}, spec.id)
                sample.made(None, spec.id)
            except SuiteError as error:
                problems.append(Problem(error.what, where=error.where, hint=error.hint))
        try:
            new_client()
        except (httpx.InvalidURL, ValueError, OSError, ImportError) as error:
            hint = "look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE"
            said = f"no HTTP request can be made: {self._clean.line(str(error))}"
            problems.append(Problem(said, where=f"suite {spec.id}", hint=hint))
        return problems

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> Collection:
        """The requests."""
        return Collection(tuple(request.id for request in requests_of(spec, self._clean)))

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        """Ask everything, in the order of the file. Raises `SuiteError` before the first request.

        A service without an address in this run, or a URL that is none, is such an error.
        """
        return _HttpRun(spec, context, on, self._clean).to_the_end(stop)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request that only has to be sent."""

    request: HttpRequest
    address: Address
    trace: str | None
    made: httpx.Request


class _HttpRun:
    """One run of an http suite."""

    def __init__(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], clean: Clean
    ) -> None:
        self._spec, self._context, self._clean = spec, context, clean
        self._on = on
        requests = requests_of(spec, clean)
        ids, self._missing = chosen([request.id for request in requests], context.only)
        filled = [
            request.filled(context.endpoints, spec.id) for request in requests if request.id in ids
        ]
        self._left = [self._ready(request) for request in filled]
        self._count = len(self._left)
        self._shapes = ShapeRecord(clean.name, context.baseline)
        self._running: Running | None = None

    def to_the_end(self, stop: Stop) -> SuiteEnd:
        began = time.monotonic()
        stopped = None
        with stop.child(self._spec.suite_timeout_s) as limit:
            try:
                run_in_loop(f"suite {self._spec.id}", self._all, limit)
            except Stopped:
                stop.remaining(0)
                stopped = "suite timeout"
        if self._running is not None:
            self._on(self._running.timed_out(self._spec.suite_timeout_s))
        self._shapes.write(self._context.folder)
        return end_of(
            count=self._count,
            not_started=[ready.request.id for ready in self._left],
            missing=self._missing,
            duration_s=time.monotonic() - began,
            stopped=stopped,
            notes=self._shapes.notes(),
        )

    def _ready(self, request: HttpRequest) -> _Ready:
        address = request.address(self._context.endpoints, self._spec.id)
        trace = trace_of(self._spec, self._context, request.id, address)
        made = request.made(trace, self._spec.id)
        # A traceparent that the loop file sets goes before ours, and is nobody's in particular.
        is_ours = trace is not None and made.headers["traceparent"] == traceparent(trace)
        return _Ready(request, address, trace if is_ours else None, made)

    async def _all(self) -> None:
        async with HttpClient() as client:
            while self._left:
                ready = self._left.pop(0)
                self._introduce(ready)
                self._running = Running(ready.request.id, ready.trace)
                asked = await client.ask(ready.made, ready.address, self._spec.test_timeout_s)
                running, self._running = self._running, None
                self._judge(running, ready.request, ready.address, asked)
                self._on(running.ended())

    def _introduce(self, ready: _Ready) -> None:
        """Tokens are renewed while the suite runs: each request takes the one of its time."""
        if "authorization" not in ready.made.headers:
            value = self._context.authorization(ready.address.target, ready.address.url)
            if value is not None:
                ready.made.headers["authorization"] = value

    def _judge(
        self, running: Running, request: HttpRequest, address: Address, asked: Asked
    ) -> None:
        running.contacts = (asked.contact,)
        if asked.was_sent:
            path = self._clean.kind(address.path)
            running.exchanges = (HttpExchange(address.target, request.method, path, asked.status),)
        answer = asked.answer
        if isinstance(answer, str):
            running.faults.append(self._clean.line(answer))
            return
        running.samples.append(Sample("http", answer.latency_s))
        running.output = self._clean.output(
            f"HTTP {answer.status} {answer.content_type}\n{answer.text}"
        )
        running.faults += faults_of(request, answer, self._clean)
        kind = f"{request.id} {answer.status}"
        document = document_of(answer)
        if document is not None:
            self._shapes.see(kind, document[0])
        changed = self._shapes.explained([kind], named=False) if running.faults else None
        running.faults += [changed] if changed else []
