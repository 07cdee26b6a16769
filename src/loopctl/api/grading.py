"""What each test of an existing pytest suite proves against services that are already there."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from loopctl.errors import PreflightError, Problem, UsageError
from loopctl.evidence.case_rules import PASSES, CaseRules
from loopctl.evidence.judge import judge
from loopctl.model.evidence import (
    Case,
    CaseStatus,
    Control,
    Grade,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.stages.control_run import CONTROL, ControlRun, with_control
from loopctl.stages.suite_run import nobody_met

HEALTH_PATHS = ("/health", "/healthz", "/livez", "/ping", "/readyz", "/status")
"""What counts as a health path where nobody says which: asking no more than these proves little."""

_ONLY_TARGET = "target"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


@dataclass(frozen=True, slots=True)
class GradeRequest:
    """What is to be graded.

    `paths` are pytest's own arguments, files or folders, from `cwd`; `urls` where the services
    are, as `URL` or `NAME=URL`; `arguments` more of pytest's. `python` is the project's
    interpreter, `require` the least grade that counts, `control` whether passing tests are run
    again with the services refused, and then answering wrongly.
    """

    paths: tuple[str, ...]
    urls: tuple[str, ...]
    cwd: Path
    python: str | None = None
    arguments: str = ""
    require: Grade = Grade.OBSERVED
    control: bool = False
    health_paths: tuple[str, ...] = HEALTH_PATHS
    timeout_s: float = 600.0
    test_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class GradeReport:
    """What the tests have shown. `targets` are URLs by name; the worst cases come first."""

    request: GradeRequest
    targets: Mapping[str, str]
    judgement: SuiteJudgement
    end: SuiteEnd
    cases: tuple[GradedCase, ...] = field(repr=False)

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong; 1: something is, a failure or a contradicted pass; 3: unclear."""
        contradicted = self.judgement.grades.get(Grade.CONTRADICTED, 0) > 0
        if contradicted or self.judgement.outcome is SuiteOutcome.FAILED:
            return 1
        return 0 if self.judgement.outcome is SuiteOutcome.PASSED else 3


def grade(request: GradeRequest, stop: Stop | None = None) -> GradeReport:
    """Run the tests once, observed, and say what each pass is worth. Deploys nothing.

    Raises `UsageError` for addresses that are none, `PreflightError` for what is missing (the
    interpreter, pytest, the folder).
    """
    from loopctl.bootstrap import suite_of

    endpoints = _endpoints(request.urls)
    spec = _spec(request, tuple(endpoints))
    suite = suite_of(SuiteKind.PYTEST, Redactor({}, []))
    stop = stop or Stop()
    missing = [*_absent(request), *suite.check(spec, stop)]
    if missing:
        raise PreflightError("the tests cannot be run; nothing was changed", missing)
    with tempfile.TemporaryDirectory(prefix="loopctl-grade-") as folder:
        context = _context(endpoints, Path(folder), request)
        return _graded(request, spec, suite, context, stop)


def _absent(request: GradeRequest) -> Sequence[Problem]:
    named = dict.fromkeys(path.partition("::")[0] for path in request.paths)
    return [
        Problem("there is no such file or folder", where=path, hint=f"looked for in {request.cwd}")
        for path in named
        if not os.path.exists(request.cwd / path)  # noqa: PTH110 - a name too long is none
    ]


def _graded(
    request: GradeRequest, spec: SuiteSpec, suite: Suite, context: SuiteContext, stop: Stop
) -> GradeReport:
    targets = {name: endpoint.url for name, endpoint in context.endpoints.items()}
    rules = CaseRules(
        spec.evidence,
        dict.fromkeys(targets),
        loopback=any(map(_is_loopback, targets.values())),
        health_paths=request.health_paths,
    )
    graded: dict[str, GradedCase] = {}
    passed: dict[str, Case] = {}

    def take(case: Case) -> None:
        graded[case.id] = rules.graded(case)
        if case.status in PASSES:
            passed[case.id] = case

    end = _run(suite, spec, context, take, stop)
    if request.control and end.usage_error is None and end.stopped is None:

        def again(shorter: SuiteSpec, its: SuiteContext, on: Callable[[Case], None]) -> SuiteEnd:
            return _run(suite, shorter, its, on, stop)

        found = ControlRun(spec, frozenset())(graded, passed, _apart(context), again)
        graded |= _with(found, graded, passed)
    judgement = judge(spec, graded.values(), end)
    if nobody_met(spec, graded.values()):
        judgement = replace(judgement, reasons=(*judgement.reasons, _unmet(targets)))
    cases = tuple(sorted(graded.values(), key=_worst_first))
    return GradeReport(request, targets, judgement, end, cases)


def _run(
    suite: Suite,
    spec: SuiteSpec,
    context: SuiteContext,
    on: Callable[[Case], None],
    stop: Stop,
) -> SuiteEnd:
    try:
        return suite.run(spec, context, on, stop)
    except SuiteError as error:
        problem = Problem(error.what, where=error.where, hint=error.hint)
        raise PreflightError("the tests cannot be run", [problem]) from error


def _with(
    found: Mapping[str, Control], graded: Mapping[str, GradedCase], passed: Mapping[str, Case]
) -> Mapping[str, GradedCase]:
    return {
        name: with_control(graded[name], passed[name], control) for name, control in found.items()
    }


def _unmet(targets: Mapping[str, str]) -> str:
    named = " or ".join(f"{name} at {url}" for name, url in targets.items())
    return f"no test reached {named}: is it up, and is it the address that the tests use?"


def _worst_first(case: GradedCase) -> tuple[int, int, str]:
    bad = (CaseStatus.FAILED, CaseStatus.BROKEN, CaseStatus.TIMEOUT, CaseStatus.LOST)
    rank = case.grade.rank if case.grade is not None else -1
    return (0 if case.status in bad else 1, rank, case.id)


def _endpoints(urls: Sequence[str]) -> Mapping[str, Endpoint]:
    found: dict[str, Endpoint] = {}
    problems = []
    for text in urls:
        name, equals, url = text.partition("=")
        if not equals or "://" in name:
            name, url = _ONLY_TARGET, text
        if (fault := _fault(name, url, found)) is not None:
            shown = Redactor({}, []).text(f"--url {text}")
            problems.append(Problem(fault, where=shown, hint="--url [NAME=]URL"))
        else:
            found[name] = Endpoint.of(url.rstrip("/"))
    if problems or not found:
        none = [Problem("at least one service must be named", where="--url")]
        raise UsageError("nothing was run", problems or none)
    return found


def _fault(name: str, url: str, found: Mapping[str, Endpoint]) -> str | None:
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError as error:
        return f"this is no URL: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        return "this is no http or https URL"
    if (extra := _too_much(parts)) is not None:
        return f"it has {extra}; a service is scheme://host[:port][/path]"
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name for a service: lower case letters, digits, hyphens"
    return f"{name} is named twice" if name in found else None


def _too_much(parts: SplitResult) -> str | None:
    """What of a URL is not where a service is: a password would be in every report."""
    if "@" in parts.netloc:
        return "a user name and a password" if parts.password is not None else "a user name"
    return "a query" if parts.query else "a fragment" if parts.fragment else None


def _spec(request: GradeRequest, targets: tuple[str, ...]) -> SuiteSpec:
    return SuiteSpec(
        id="grade",
        title="grade",
        priority=Priority.P0,
        phase=SuitePhase.VERIFY,
        kind=SuiteKind.PYTEST,
        run=" ".join([*map(shlex.quote, request.paths), request.arguments]).strip(),
        cwd=request.cwd,
        python=request.python,
        suite_timeout_s=request.timeout_s,
        test_timeout_s=request.test_timeout_s,
        repeatable=request.control,
        evidence=EvidenceSpec(
            require=request.require,
            target=targets,
            control="always" if request.control else "off",
            receipts=False,
        ),
    )


def _context(
    endpoints: Mapping[str, Endpoint], folder: Path, request: GradeRequest
) -> SuiteContext:
    return SuiteContext(
        endpoints=endpoints,
        variables={},
        folder=folder,
        trace_seed=os.urandom(16).hex(),
        health_paths=request.health_paths,
    )


def _apart(context: SuiteContext) -> SuiteContext:
    seed = hashlib.sha256(f"{context.trace_seed}/{CONTROL}".encode()).hexdigest()[:32]
    return replace(context, folder=context.folder / CONTROL, trace_seed=seed)


def _is_loopback(url: str) -> bool:
    return _LOOPBACK.fullmatch(urlsplit(url).hostname or "") is not None
