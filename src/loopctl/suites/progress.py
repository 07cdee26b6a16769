"""What is known of a suite while it runs: who was collected, who runs, who has ended.

Events come in raw and leave redacted. The raw ids stay in memory, because pytest must be told by
them what to run; everything that is handed on bears redacted ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from loopctl.evidence.status import NOT_COLLECTED, described
from loopctl.model.evidence import Case, CaseStatus, Raised
from loopctl.redact import Redactor
from loopctl.suites.case_names import CaseNames
from loopctl.suites.event_redaction import EventRedaction
from loopctl.suites.numbering import Lines
from loopctl.suites.pytest_events import (
    Roots,
    code_of,
    contact_of,
    outcome_of,
    phase_of,
    raised_of,
)
from loopctl.suites.running import Running
from loopctl.suites.spool import Event

# How the plugin names what it cannot take as a metric's sample.
_SAMPLE = "sample of "
_MOST_BAD_SAMPLES = 5

# pytest's options that run only what an earlier run left over.
_RESUMING = ("lf", "stepwise")

_LEFT_OUT = {"collect-error": CaseStatus.BROKEN, "collect-skip": CaseStatus.SKIPPED}
_HARMLESS = (CaseStatus.PASSED, CaseStatus.SKIPPED)


class Progress:
    """The state of one suite over all pytest processes that it takes.

    Cases go to `on` the moment their end is known, redacted events to `keep`. `names` are those
    that an earlier run of the suite gave, where this one is to use them too. `told_errors` is
    shared by shards: all of them meet the same collection errors, and one tells each.
    """

    def __init__(
        self,
        redactor: Redactor,
        on: Callable[[Case], None],
        keep: Callable[[Event], None],
        cwd: str,
        names: CaseNames | None = None,
        told_errors: dict[str, object] | None = None,
    ) -> None:
        self._redaction = EventRedaction(redactor)
        self._names = names or CaseNames(redactor)
        self._on = on
        self._keep = keep
        self._cwd = cwd
        self._roots: Roots = (cwd,)
        self._collected: dict[str, None] = {}
        self._started: set[str] = set()
        self._running: dict[str, Running] = {}
        self._erred: set[str] = set()
        self._left_out: set[str] = set()
        self._told_errors = {} if told_errors is None else told_errors
        self._met_errors: set[tuple[str, str]] = set()
        self._cutoff: float | None = None
        self._late: set[str] = set()
        self._is_later_process = False
        self._lines: dict[int, Lines] = {}
        self.collected_count: int | None = None
        self.ended_count = 0
        self.has_failures = False
        self.strangers = 0
        self.deselected: int | None = None
        self.session_ended = False
        self.plugin_seen = False
        self.internal_error: str | None = None
        self.resumes: Sequence[str] = ()
        self.bad_samples: list[str] = []

    def take(self, events: Iterable[Event]) -> None:
        """Work through what the test process has told since the last call."""
        for event in events:
            self._number(event)
            raw = event.get("id")
            clean = self._redaction.event(event)
            name = self.name_of(raw) if isinstance(raw, str) else None
            if name is not None:
                clean["id"] = name
            self._keep(clean)
            self._dispatch(event, clean)

    def _number(self, event: Event) -> None:
        pid, seq = event.get("pid"), event.get("seq")
        if isinstance(pid, int) and isinstance(seq, int):
            self._lines.setdefault(pid, Lines()).add(seq, event["e"])

    @property
    def is_whole(self) -> bool:
        """Whether every line that a session wrote came once, and nobody else's among them."""
        return not self.strangers and all(lines.are_whole for lines in self._lines.values())

    def _dispatch(self, raw: Event, clean: Event) -> None:
        kind = raw["e"]
        test = raw.get("id")
        if kind == "session-start":
            self._session_starts(raw)
        elif kind in ("collected", "collection-end"):
            self._collects(raw)
        elif kind in _LEFT_OUT:
            self._not_collected(_LEFT_OUT[kind], clean)
        elif kind == "internal-error":
            self.internal_error = _last_line(clean.get("longrepr"))
        elif kind == "plugin-error" and str(clean.get("where")).startswith(_SAMPLE):
            self._bad_sample(clean)
        elif kind == "session-end":
            self.session_ended = self.session_ended or raw.get("worker") is None
        elif kind == "test-start" and isinstance(test, str):
            self._test_starts(test, raw)
        elif isinstance(test, str) and test in self._running:
            self._test_event(kind, test, self._running[test], clean)

    def _counts(self, test: str, case: Case, clean: Event) -> bool:
        # What fails once its process was interrupted may fail by that: only a pass still counts.
        if self._cutoff is None:
            return True
        told = clean.get("t")
        before = isinstance(told, int | float) and told <= self._cutoff
        return before or (case.status in _HARMLESS and test not in self._late)

    def _session_starts(self, raw: Event) -> None:
        self.plugin_seen = True
        root = raw.get("rootdir")
        if isinstance(root, str):
            self._roots = tuple(dict.fromkeys((root, self._cwd)))
        options = raw.get("resumes")
        self.resumes = [name for name in _RESUMING if isinstance(options, list) and name in options]

    def _bad_sample(self, clean: Event) -> None:
        if len(self.bad_samples) < _MOST_BAD_SAMPLES:
            said = f"{clean.get('where')}: {clean.get('message')}"
            self.bad_samples.append(_last_line(said))

    def _collects(self, raw: Event) -> None:
        if self._is_later_process:
            return  # it collects only what is left
        self.collected_count = self.collected_count or 0
        ids = raw.get("ids")
        for each in ids if isinstance(ids, list) else ():
            if isinstance(each, str):
                self.name_of(each)
                self._collected[each] = None
        self.collected_count = len(self._collected)
        gone = raw.get("deselected")
        self.deselected = gone if isinstance(gone, int) else self.deselected

    def _not_collected(self, status: CaseStatus, clean: Event) -> None:
        """A module, or another collector, whose tests nobody has seen: one case stands for all."""
        name = str(clean.get("id") or "collection")
        known = self._left_out if status is CaseStatus.SKIPPED else self._erred
        if name in known:
            return  # every worker of xdist meets the same error
        known.add(name)
        self.has_failures = self.has_failures or status not in _HARMLESS
        if self._told_errors.setdefault(name, self) is not self:
            return  # and so does every shard
        raised = raised_of(clean.get("exc"), self._roots)
        text = str(clean.get("longrepr") or "")
        said = described(raised) if raised else _last_line(text)
        running = Running(name, clean.get("t"))
        self._on(
            running.case(status, f"{NOT_COLLECTED}{said}", raised=raised, longrepr=text or None)
        )

    def _test_starts(self, test: str, raw: Event) -> None:
        self._started.add(test)
        self._running[test] = Running(self.name_of(test), raw.get("t"), code_of(raw))

    def _test_event(self, kind: str, test: str, running: Running, clean: Event) -> None:
        if kind in ("phase", "subtest"):
            phase = phase_of(clean, self._roots)
            if phase is not None:
                running.add(phase, clean, is_subtest=kind == "subtest")
        elif kind == "child-contact" and isinstance(clean.get("contact"), dict):
            running.child_met(str(clean.get("phase")), contact_of(clean["contact"]))
        elif kind == "revised":
            running.revise(str(clean.get("phase")), outcome_of(clean))
        elif kind == "crash":
            self._hand_over(test, running.case(CaseStatus.LOST, _last_line(clean.get("longrepr"))))
        elif kind == "test-end":
            case = self._ended(running)
            if self._counts(test, case, clean):
                self._hand_over(test, case)

    def _ended(self, running: Running) -> Case:
        errors = [(_key(each), met) for each, met in running.errors()]
        self._met_errors.update(key for key, met in errors if met)
        return running.ended(met_before=any(key in self._met_errors for key, _ in errors))

    def _hand_over(self, test: str, case: Case) -> None:
        self._running.pop(test, None)
        self.ended_count += 1
        self.has_failures = self.has_failures or case.status not in _HARMLESS
        self._on(case)

    def name_of(self, raw: str) -> str:
        """The redacted id; two that become alike are told apart by a number."""
        return self._names.of(raw)

    def was_collected(self, raw: str) -> bool:
        """Whether pytest told, by its own id, that it would run the test."""
        return raw in self._collected

    def overdue(self, limit_s: float) -> Sequence[str]:
        """The raw ids of tests that have run for longer than `limit_s`."""
        now = time.monotonic()
        return [test for test, running in self._running.items() if running.age(now) > limit_s]

    @property
    def running(self) -> Sequence[str]:
        """The raw ids of tests that have started and not ended."""
        return list(self._running)

    @property
    def not_started(self) -> Sequence[str]:
        """The raw ids of tests that were collected and not started, in order of collection."""
        return [test for test in self._collected if test not in self._started]

    @property
    def collected(self) -> Sequence[str]:
        """The raw ids that the first process told it would run, in order of collection."""
        return list(self._collected)

    @property
    def collect_errors(self) -> int:
        """How many files (or other collectors) could not be collected."""
        return len(self._erred)

    def interrupted(self, late: Sequence[str] = ()) -> None:
        """The process is being ended now, on account of the tests in `late` (raw ids)."""
        self._cutoff = self._cutoff or time.time()
        self._late |= set(late)

    def next_process(self) -> None:
        """The same suite goes on in another process."""
        self._is_later_process = True
        self._cutoff = None
        self.session_ended = False

    def give_up(self, test: str, status: CaseStatus, message: str) -> None:
        """Hand over a running test that will not end by itself."""
        running = self._running[test]
        self._hand_over(test, running.case(status, message))

    def requeue(self, test: str) -> None:
        """Forget that a running test was started, so that it is run again."""
        self._running.pop(test, None)
        self._started.discard(test)


def _key(raised: Raised) -> tuple[str, str]:
    return raised.type, raised.message


def _last_line(text: object) -> str:
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "no reason was given"
