"""pytest's hooks: what the stream says of a session, its collection and its tests.

A neighbour of `loopctl_evidence.py`: standard library and pytest >= 7 only, Python >= 3.8.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING, Any

import pytest
from loopctl_code import Codes
from loopctl_exceptions import described
from loopctl_guard import guarded
from loopctl_phase import Phase
from loopctl_samples import Samples
from loopctl_text import clean, last
from loopctl_watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from loopctl_spool import Spool

_IDS_PER_LINE = 500
_KEY = "loopctl_key"
# Options that run what failed the last time, so that what passes is not the whole suite.
_RESUMING = ("lf", "stepwise")


class Recorder:
    """What a session writes to the spool: pytest's hooks, joined with what was watched.

    `at_end` is called when pytest is done.
    """

    def __init__(
        self, spool: Spool, environ: Mapping[str, str], at_end: Callable[[], None]
    ) -> None:
        self._spool, self._at_end = spool, at_end
        self._watch = Watch(spool, environ)
        self._seed = (environ.get("LOOPCTL_TRACE_SEED") or os.urandom(16).hex()).encode()
        self._attempts: dict[str, int] = {}
        self._outcomes: dict[tuple[str, str], str] = {}
        self._found = 0
        self._deselected = 0
        self._controls = False
        self._codes, self._samples = Codes(), Samples()
        self._code: str | None = None

    def works_for(self, controller: dict[str, Any]) -> None:
        """Learn which worker of xdist this is, from what its controller handed on."""
        self._spool.worker = str(controller.get("workerid"))
        self._spool.use_key(bytes.fromhex(controller.pop(_KEY, "")))
        self._watch.connections.alone = controller.get("workercount") == 1

    @guarded
    def conftest_failed(self, problem: BaseException) -> None:
        """A conftest file of the command line's could not be imported."""
        exc, text = described(problem), _long(problem)
        self._spool.emit("collect-error", id="conftest.py", exc=exc, longrepr=text)

    # What pytest says of the session and its collection

    @guarded
    def _session_starts(self, config: pytest.Config) -> None:
        plugins = config.pluginmanager.list_plugin_distinfo()
        self._codes.session(plugins)
        found = [each for _, each in plugins]
        self._controls = config.pluginmanager.hasplugin("dsession")
        self._spool.emit(
            "session-start",
            python=platform.python_version(),
            pytest=pytest.__version__,
            xdist="worker" if self._spool.worker else "controller" if self._controls else None,
            rootdir=clean(config.rootpath, 1000),
            resumes=[name for name in _RESUMING if config.getoption(name, None)],
            plugins=sorted({f"{each.project_name}-{each.version}" for each in found}),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session_starts(session.config)

    @guarded
    def pytest_itemcollected(self) -> None:
        self._found += 1

    @guarded
    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        self._deselected += len(list(items))

    @pytest.hookimpl(trylast=True)
    @guarded
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # Registered last, once every conftest file is loaded, it is called innermost.
        session.config.pluginmanager.register(_Innermost(self), "loopctl-evidence-innermost")
        # Items that a hook took out of the list, as many do, without telling pytest.
        self._deselected = max(self._deselected, self._found - len(session.items))
        ids = [clean(item.nodeid, 4000) for item in session.items]
        self._codes.collected(session.items, str(session.config.rootpath))
        # All workers of xdist collect the same: the first speaks for them.
        listed = ids if self._spool.worker in (None, "gw0") else []
        for start in range(0, len(listed), _IDS_PER_LINE):
            part = listed[start : start + _IDS_PER_LINE]
            self._spool.emit("collected", ids=part, deselected=self._deselected)
        self._spool.emit("collection-end", count=len(ids), deselected=self._deselected)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        outcome = yield
        self._collect_reported(outcome)

    @guarded
    def _collect_reported(self, outcome: Any) -> None:
        report = outcome.get_result()
        if report.outcome == "passed":
            return
        call = report.__dict__.get("call")
        problem = call.excinfo.value if call is not None and call.excinfo is not None else None
        if isinstance(problem, pytest.Collector.CollectError) and problem.__cause__ is not None:
            problem = problem.__cause__  # its message is only the cause's traceback as text
        self._spool.emit(
            "collect-error" if report.failed else "collect-skip",
            id=clean(report.nodeid, 4000),
            exc=described(problem) if problem is not None else None,
            longrepr=_long(report.longreprtext),
        )

    @pytest.hookimpl(tryfirst=True)
    @guarded
    def pytest_internalerror(self, excrepr: object) -> None:
        self._spool.emit("internal-error", longrepr=_long(excrepr))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, None]:
        yield
        self._session_ends(session)

    @guarded
    def _session_ends(self, session: pytest.Session) -> None:
        self._spool.emit(
            "session-end",
            exitstatus=int(getattr(session, "exitstatus", 0)),
            testsfailed=session.testsfailed,
            testscollected=session.testscollected,
        )

    @guarded
    def pytest_unconfigure(self) -> None:
        self._watch.stop()
        self._at_end()

    @pytest.hookimpl(optionalhook=True)
    @guarded
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist the key that is gone from beside the spool."""
        if self._spool.key is not None:
            node.workerinput[_KEY] = self._spool.key.hex()

    # What pytest says of one test

    @pytest.hookimpl(tryfirst=True)
    @guarded
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._code = None  # should the next line fail
        self._code = self._codes.of(item, clean(item.nodeid, 4000))

    @guarded
    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if not self._controls:
            test, file = clean(nodeid, 4000), clean(location[0], 1000)
            self._spool.emit("test-start", id=test, file=file, line=location[1], code=self._code)

    @guarded
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if not self._controls:
            self._spool.emit("test-end", id=clean(nodeid, 4000))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "setup")
        yield
        self._end()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "call")
        yield
        self._end()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, None]:
        self._begin(item, "teardown")
        yield
        self._end()

    @guarded
    def raised_in_call(self, problem: BaseException) -> None:
        """Keep what the test itself raised, before any hook can make it go away."""
        phase = self._watch.current.phase
        if phase is not None:
            phase.raised = problem

    @guarded
    def _begin(self, item: pytest.Item, name: str) -> None:
        test = clean(item.nodeid, 4000)
        attempt = self._attempts[test] = self._attempts.get(test, 0) + (name == "setup")
        unique = "\0".join((test, name, str(attempt))).encode()
        trace = hashlib.sha256(self._seed + b"\0" + unique).hexdigest()[:32]
        phase = Phase(test, name, attempt, trace, self._watch.mocks.active.values())
        phase.began = self._spool.now()
        self._watch.begin(phase)

    @guarded
    def _end(self) -> None:
        self._watch.end()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        outcome = yield
        self._reported(item, call, outcome)

    @guarded
    def _reported(self, item: pytest.Item, call: pytest.CallInfo[None], outcome: Any) -> None:
        report: pytest.TestReport = outcome.get_result()
        test, phase = clean(item.nodeid, 4000), self._watch.current.phase
        text = report.longreprtext if report.outcome != "passed" else ""
        strict = report.outcome == "failed" and call.excinfo is None
        # A report that comes while the test still runs is that of a subtest.
        whole = phase is not None and not phase.running
        problem = call.excinfo.value if call.excinfo is not None else None
        if problem is None and phase is not None and whole:
            problem = phase.raised
        self._spool.emit(
            "phase" if whole else "subtest",
            id=test,
            phase=report.when,
            attempt=self._attempts.get(test, 1),
            outcome=report.outcome,
            duration_s=report.duration,
            wasxfail=_xfail_reason(report),
            xpass_strict=strict and text.startswith("[XPASS(strict)]"),
            exc=described(problem) if problem is not None else None,
            longrepr=_long(text),
            sections=_sections(report),
            samples=self._fresh_samples(test, report) if whole else [],
            **(phase.seen() if phase is not None and whole else {}),
        )
        if whole:
            self._outcomes[test, report.when] = report.outcome

    def _fresh_samples(self, test: str, report: pytest.TestReport) -> list[tuple[str, float]]:
        samples: list[tuple[str, float]]
        samples, wrong = self._samples.fresh(test, report.user_properties)
        for each in wrong:
            self._spool.problem(f"sample of {test[:300]}", ValueError(each))
        return samples

    @guarded
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = clean(report.nodeid, 4000)
        if self._controls:
            if report.when not in (
                "setup",
                "call",
                "teardown",
            ):  # xdist: a worker died in this test
                self._spool.emit("crash", id=test, longrepr=_long(report.longreprtext))
            return
        # Plugins such as rerunfailures change the outcome after the report was made.
        known = self._outcomes.get((test, report.when), report.outcome)
        if known != report.outcome and type(report) is pytest.TestReport:
            attempt = getattr(report, "rerun", self._attempts.get(test, 1) - 1) + 1
            self._spool.emit(
                "revised", id=test, phase=report.when, attempt=attempt, outcome=report.outcome
            )


def _long(value: object) -> str:
    return clean(value, 12_000, 8_000)


def _xfail_reason(report: pytest.TestReport) -> str | None:
    reason = getattr(report, "wasxfail", None)
    return None if reason is None else clean(reason, 2000)


def _sections(report: pytest.TestReport) -> dict[str, str]:
    """What was captured in this phase alone, by channel: stdout, stderr, log."""
    start, end = "Captured ", f" {report.when}"
    return {
        name[len(start) : -len(end)]: last(text, 8000)
        for name, text in report.sections
        if name.startswith(start) and name.endswith(end)
    }


class _Innermost:
    """Stands between a test and all other wrappers of its call, which may swallow what it raises.

    A plugin of its own: the recorder is the outermost already, to see a phase's whole traffic.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        outcome = yield
        if outcome.excinfo is not None:
            self._recorder.raised_in_call(outcome.excinfo[1])
