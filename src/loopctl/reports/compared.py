"""What is not the same in two runs: the values, from which text and document are made. Pure.

`a` is the run that was named first, the former as a rule; `before` and `after` are theirs. `counts`
tells what `--exit-code` counts from what only says so: docs/looking-back.md has the list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loopctl.ports.source import CommitLine


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One of the two runs. `commit` and `tree` are None where nothing was read, or not one."""

    run_id: str
    loop: str
    environment: str
    platform: str
    verdict: str | None
    exit_code: int | None
    stop_reason: str | None
    partial: bool
    started_at: str
    duration_s: float | None
    commit: str | None
    dirty: bool
    tree: str | None
    loopctl: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Something with a name that both runs, or one of them, have; None: that one has it not."""

    what: str
    before: str | None
    after: str | None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Commits:
    """Those of one run and not of the other, newest first, at most 50 each.

    `unknown` says why git could not tell; None where it has, or where there is nothing to tell.
    """

    only_b: tuple[CommitLine, ...] = ()
    only_a: tuple[CommitLine, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationChanges:
    """Names alone, never a value.

    `values` are what both are given and differs, by keyed hashes; `files` the loop file and what it
    extends. `unknown` says why values could not be compared, None: they were.
    """

    values: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    suite_files: tuple[str, ...] = ()
    unknown: str | None = None

    @property
    def counts(self) -> bool:
        """Whether anything is known to differ."""
        return bool(self.values or self.added or self.removed or self.files or self.suite_files)


@dataclass(frozen=True, slots=True)
class SuiteChange:
    """A suite of either run, with outcome, counts by status and lowest grade in each.

    A suite that a run does not have is None there. `counts` is false where both are equal.
    """

    suite: str
    outcome: tuple[str | None, str | None]
    cases: tuple[dict[str, int], dict[str, int]]
    grade: tuple[str | None, str | None]
    counts: bool


@dataclass(frozen=True, slots=True)
class CaseChange:
    """A case, as `SUITE::ID`, by status or by grade; None where the run does not have it."""

    case: str
    before: str | None
    after: str | None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class CaseChanges:
    """The last cycles' cases beside each other.

    A case fails when it is failed, timeout, broken or lost. `failing` are those that did not fail
    before, new ones among them; `not_run` those whose suite came to no end in `b`, so that nothing
    is known of them; `skipped` those that were not skipped before, `run_again` the contrary.
    `grades` are passes in both, of another grade.
    """

    failing: tuple[CaseChange, ...] = ()
    still_failing: tuple[CaseChange, ...] = ()
    flaky: tuple[CaseChange, ...] = ()
    fixed: tuple[CaseChange, ...] = ()
    no_longer_flaky: tuple[CaseChange, ...] = ()
    skipped: tuple[CaseChange, ...] = ()
    run_again: tuple[CaseChange, ...] = ()
    added: tuple[CaseChange, ...] = ()
    removed: tuple[CaseChange, ...] = ()
    not_run: tuple[CaseChange, ...] = ()
    grades: tuple[CaseChange, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether a case did otherwise; what failed and still fails did not."""
        return bool(
            self.failing
            or self.fixed
            or any(case.before != case.after for case in (*self.flaky, *self.still_failing))
            or self.no_longer_flaky
            or self.skipped
            or self.run_again
            or self.added
            or self.removed
            or self.not_run
            or self.grades
        )


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding of a run's last cycle."""

    fingerprint: str
    title: str
    signature: str | None
    service: str | None


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """By fingerprint: in `b` alone, in `a` alone, in both."""

    new: tuple[FindingLine, ...] = ()
    gone: tuple[FindingLine, ...] = ()
    same: tuple[FindingLine, ...] = ()


@dataclass(frozen=True, slots=True)
class CriterionChange:
    """A criterion; `noise`: the values differ by no more than chance explains, or cannot be told.

    `met` is None with too few samples. `limit` is None where the run does not have it; `shown` are
    the values as people read them.
    """

    metric: str
    limit: tuple[str | None, str | None]
    value: tuple[float | None, float | None]
    met: tuple[bool | None, bool | None]
    noise: bool
    counts: bool
    shown: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class DurationChange:
    """Seconds of the whole run, of a stage or of a suite in each; None: it did not come to it."""

    what: str
    before_s: float | None
    after_s: float | None
    noise: bool


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """A template of a service's log, with how often the run that has it said so, where known."""

    service: str
    template: str
    count: int
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class LogChanges:
    """Log templates of one run and not of the other; None where that cannot be told, see `why`."""

    new: tuple[TemplateLine, ...] | None = None
    gone: tuple[TemplateLine, ...] | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, the most telling first. `ended` is verdict, exit code and what else names a run."""

    a: RunFacts
    b: RunFacts
    ended: tuple[Changed, ...] = ()
    serving: tuple[Changed, ...] = ()
    cases: CaseChanges = field(default_factory=CaseChanges)
    findings: FindingChanges = field(default_factory=FindingChanges)
    commits: Commits = field(default_factory=Commits)
    made_of: tuple[Changed, ...] = ()
    configuration: ConfigurationChanges = field(default_factory=ConfigurationChanges)
    suites: tuple[SuiteChange, ...] = ()
    criteria: tuple[CriterionChange, ...] = ()
    durations: tuple[DurationChange, ...] = ()
    logs: LogChanges = field(default_factory=LogChanges)

    @property
    def counting(self) -> tuple[str, ...]:
        """The parts in which something differs that counts, the most telling first."""
        told = {
            "ended": any(each.counts for each in self.ended),
            "serving": any(each.counts for each in self.serving),
            "cases": self.cases.counts,
            "findings": bool(self.findings.new or self.findings.gone),
            "commits": self.a.commit != self.b.commit,
            "made_of": any(each.counts for each in self.made_of),
            "configuration": self.configuration.counts,
            "suites": any(each.counts for each in self.suites),
            "criteria": any(each.counts for each in self.criteria),
        }
        return tuple(part for part, differs in told.items() if differs)

    @property
    def differs(self) -> bool:
        """What `--exit-code` asks."""
        return bool(self.counting)
