"""Event lists as real runs leave them, for everything that is folded from a journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loopctl.journal.fold import fold
from loopctl.journal.worklog import Worklog
from loopctl.model.artifact import Artifact, ArtifactKind, ContentProof, Revision, ServiceState
from loopctl.model.events import (
    CasesGraded,
    ChainChecked,
    ContentProven,
    CriteriaJudged,
    Event,
    FindingMade,
    HealthJudged,
    ImageBuilt,
    Left,
    LogsKept,
    NovelLine,
    Payload,
    RemedyDecided,
    Result,
    RevisionDeployed,
    Routed,
    RunEnded,
    RunStarted,
    ServiceFacts,
    ServiceObserved,
    SourceRead,
    StageEntered,
    StageFinished,
    SuiteCollected,
    SuiteFacts,
    SuiteFinished,
    SuiteStarted,
)
from loopctl.model.evidence import (
    CaseStatus,
    CriterionJudgement,
    Grade,
    GradedCase,
    SuiteEnd,
    SuiteJudgement,
    SuiteOutcome,
)
from loopctl.model.finding import Fault, FaultKind, Finding, Quote, Why
from loopctl.model.state import OutcomeKind, State, StopReason, Verdict

BEGAN = datetime(2025, 9, 10, 20, 30, tzinfo=UTC)
RUN_ID = "20250910-203000-golden-path-1a2b"
OLD, NEW = "chat-00001-old", "chat-00002-new"
TREE = "sha256:" + "a" * 64
IMAGE = "sha256:" + "b" * 64

RUN = RunStarted(
    run_id=RUN_ID,
    loop="golden-path",
    loop_file="loops/golden-path.yaml",
    root="/project",
    environment="local",
    platform="local",
    loopctl="0.1.0",
    pid=4711,
    pid_started=12345,
    services=(ServiceFacts("chat", impact="$120K MRR", impact_source="finance 2025-Q3"),),
    suites=(SuiteFacts("p1-critical", "Core", "P1", "pytest", "verify", "observed"),),
    owner="#chat-oncall",
    runbook="docs/runbook.md",
    max_cycles=3,
)


def state(traffic: Mapping[str, int]) -> ServiceState:
    revisions = tuple(Revision("chat", name, IMAGE, BEGAN) for name in traffic)
    url = "http://127.0.0.1:18080"
    return ServiceState("chat", url, "ws://127.0.0.1:18080", traffic, revisions, "7")


def case(name: str, status: CaseStatus = CaseStatus.PASSED, **facts: object) -> GradedCase:
    passed = status is CaseStatus.PASSED
    made = GradedCase(
        id=f"tests/test_chat.py::{name}",
        status=status,
        duration_s=0.25,
        at=BEGAN,
        grade=Grade.PROVEN if passed else None,
        reason=f"1 receipt of {NEW}: GET /rooms 200" if passed else None,
        message=None if passed else f"it {status}",
        trace="0af7651916cd43dd8448eb211c80319c" if passed else None,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def judged(
    cases: Sequence[GradedCase], outcome: SuiteOutcome, reasons: tuple[str, ...] = ()
) -> SuiteJudgement:
    passed = [c.grade or Grade.UNPROVEN for c in cases if c.status is CaseStatus.PASSED]
    return SuiteJudgement(
        outcome=outcome,
        reasons=reasons,
        collected=len(cases),
        counts={s: sum(1 for c in cases if c.status is s) for s in CaseStatus},
        grades={g: passed.count(g) for g in set(passed)},
        grade=min(passed, key=lambda g: g.rank, default=None),
        duration_s=8.25,
    )


class Script:
    """Writes events one second apart, as the runner would; a stage takes 1.5 s."""

    def __init__(self, run: RunStarted = RUN) -> None:
        self.events: list[Event] = []
        self.cycle = 0
        self.add(run)
        self.cycle = 1

    def add(self, payload: Payload, service: str | None = None, suite: str | None = None) -> Script:
        number = len(self.events)
        at = BEGAN + timedelta(seconds=number)
        self.events.append(Event(number + 1, at, self.cycle, payload, service=service, suite=suite))
        return self

    def stage(
        self,
        stage: State,
        kind: OutcomeKind = OutcomeKind.OK,
        detail: str = "",
        faults: tuple[Fault, ...] = (),
        inside: Iterable[tuple[Payload, str | None, str | None]] = (),
    ) -> Script:
        self.add(StageEntered(stage))
        for payload, service, suite in inside:
            self.add(payload, service, suite)
        return self.add(StageFinished(stage, kind, State.STOPPED, 1.5, detail, faults))

    def until_health(self, before: Mapping[str, int] | None = None) -> Script:
        """Preflight, build, deploy: all well; `before` is who served, None: nobody yet."""
        seen = None if before is None else state(before)
        artifact = Artifact("chat", ArtifactKind.FOLDER, IMAGE, "images/b", TREE, BEGAN)
        revision = Revision("chat", NEW, IMAGE, BEGAN)
        first = before is None
        self.stage(State.PREFLIGHT, detail="4 checks passed")
        self.stage(
            State.BUILD,
            inside=[
                (SourceRead(TREE, "19d714b3b" + "0" * 31, dirty=False, files=12), "chat", None),
                (ImageBuilt(artifact, 0.8, "logs/1/chat.build.txt"), "chat", None),
                (ContentProven(ContentProof("chat", TREE, TREE)), "chat", None),
                (SuiteCollected(4), None, "p1-critical"),
            ],
        )
        deployed = RevisionDeployed(revision, "all" if first else "none", first)
        inside: list[tuple[Payload, str | None, str | None]] = [
            (ServiceObserved("before", seen), "chat", None),
            (deployed, "chat", None),
        ]
        if first:
            inside.append((Routed(state({NEW: 100}), "first"), "chat", None))
        return self.stage(State.DEPLOY, inside=inside)

    def healthy(self) -> Script:
        health = HealthJudged(
            revision=NEW,
            healthy=True,
            url="http://127.0.0.1:18081",
            ws_url="ws://127.0.0.1:18081",
            probes=3,
            duration_s=0.2,
            first_healthy_s=0.11,
            latency_s=0.004,
        )
        return self.stage(State.HEALTH, inside=[(health, "chat", None)])

    def verify(
        self,
        cases: Sequence[GradedCase],
        outcome: SuiteOutcome,
        reasons: tuple[str, ...] = (),
        kind: OutcomeKind = OutcomeKind.OK,
    ) -> Script:
        judgement = judged(cases, outcome, reasons)
        end = SuiteEnd(complete=True, exit_code=0, duration_s=8.25, collected=len(cases))
        return self.stage(
            State.VERIFY,
            kind,
            "; ".join(reasons),
            inside=[
                (SuiteStarted("suites/1/p1-critical", len(cases)), None, "p1-critical"),
                (CasesGraded(tuple(cases)), None, "p1-critical"),
                (SuiteFinished(judgement, end), None, "p1-critical"),
                (ChainChecked(NEW, 0), "chat", None),
            ],
        )

    def collected_logs(self) -> Script:
        kept = LogsKept("logs/1/chat.jsonl", "logs/1/chat.requests.jsonl", 40, complete=True)
        return self.stage(State.COLLECT, inside=[(kept, "chat", None)])

    def ended(self, verdict: Verdict, code: int, reason: StopReason, **facts: object) -> Script:
        self.cycle = 0
        end = RunEnded(verdict, code, reason, 12.34)
        return self.add(replace(end, **facts))  # type: ignore[arg-type]

    def worklog(self) -> Worklog:
        return fold(self.events)


def left(name: str, *, verified: bool, changed: bool) -> tuple[Left, ...]:
    return (Left("chat", {name: 100}, verified, changed, BEGAN, "http://127.0.0.1:18080"),)


PASSES = tuple(case(f"test_{n}") for n in range(4))
QUOTE = Quote("log", "logs/1/chat.jsonl#812", "TypeError: got an unexpected keyword 'success'")
FINDING = Finding(
    signature="app.api-break",
    title="A caller uses an argument that is gone",
    severity="high",
    confidence=0.9,
    fingerprint="v1|python|TypeError|chat/live.py:answer#0a1b2c3d",
    service="chat",
    evidence=(QUOTE,),
    whys=(
        Why("Why did it fail?", "ExecutionResult has no argument success", "observed", 0),
        Why("Why was it renamed?", "a refactoring", "observed"),
    ),
)


def green() -> Script:
    script = Script().until_health({OLD: 100}).healthy().verify(PASSES, SuiteOutcome.PASSED)
    script.stage(State.PROMOTE, inside=[(Routed(state({NEW: 100}), "promote"), "chat", None)])
    script.stage(State.CONFIRM)
    serving = left(NEW, verified=True, changed=True)
    return script.ended(Verdict.GREEN, 0, StopReason.GREEN, left=serving)


FAILING = case(
    "test_answer",
    CaseStatus.FAILED,
    message="AssertionError: no agent_completed",
    where="tests/test_chat.py:41",
    detail="assert 'agent_completed' in events",
    output="received agent_started\nclosed 1000 main cleanup",
)


def red() -> Script:
    reasons = ("1 failed: tests/test_chat.py::test_answer",)
    script = Script(replace(RUN, green_run="20250909-100000-golden-path-0000"))
    script.until_health({OLD: 100}).healthy()
    script.verify((*PASSES[:3], FAILING), SuiteOutcome.FAILED, reasons, OutcomeKind.FAILED)
    script.collected_logs()
    script.stage(State.SETTLE, inside=[(Routed(state({OLD: 100}), "restore"), "chat", None)])
    script.stage(State.DIAGNOSE, inside=[(FindingMade(FINDING), "chat", None)])
    remedy = RemedyDecided("person", "propose", "look at it", "git revert 19d714b3b", "proposed")
    script.stage(State.REMEDIATE, inside=[(remedy, None, None)])
    serving = left(OLD, verified=True, changed=False)
    return script.ended(
        Verdict.RED, 1, StopReason.NEEDS_HUMAN, left=serving, restored="done", detail=reasons[0]
    )


def unproven() -> Script:
    """Six of six skipped: what one incident called a success."""
    skipped = [case(f"test_{n}", CaseStatus.SKIPPED) for n in range(6)]
    reasons = ("6 skipped: tests/test_chat.py::test_0 and 5 more", "no case passed")
    script = Script().until_health({OLD: 100}).healthy()
    script.verify(skipped, SuiteOutcome.UNPROVEN, reasons, OutcomeKind.UNPROVEN)
    script.collected_logs().stage(State.SETTLE)
    novel = NovelLine("cleanup", 7, "main cleanup", "logs/1/chat.jsonl#3", baseline=False)
    script.stage(State.DIAGNOSE, inside=[(novel, "chat", None)]).stage(State.REMEDIATE)
    serving = left(OLD, verified=True, changed=False)
    return script.ended(Verdict.UNPROVEN, 3, StopReason.NEEDS_HUMAN, left=serving, restored="done")


EXITED = Fault(
    FaultKind.EXIT_CODE,
    "the process exited with code 3 before it listened",
    "chat",
    "3",
    (Quote("log", "logs/1/chat.jsonl#2", "SystemExit: 3"),),
)


def undelivered(before: Mapping[str, int] | None = None) -> Script:
    """The candidate exits with 3; with no `before` it is the service's first revision ever."""
    script = Script().until_health(before)
    script.stage(State.HEALTH, OutcomeKind.FAILED, EXITED.summary, (EXITED,))
    script.collected_logs()
    if before:
        routed = Routed(state(before), "restore")
        script.stage(State.SETTLE, inside=[(routed, "chat", None)])
    else:
        script.stage(State.SETTLE, detail="nothing is deleted")
    script.stage(State.DIAGNOSE).stage(State.REMEDIATE)
    serves = next(iter(before)) if before else NEW
    serving = left(serves, verified=bool(before), changed=not before)
    restored = "done" if before else "not-needed"
    return script.ended(
        Verdict.UNDELIVERED, 5, StopReason.NEEDS_HUMAN, left=serving, restored=restored
    )


def preflight(missing: int = 3) -> Script:
    faults = tuple(
        Fault(
            FaultKind.MISSING_VARIABLE,
            f"the environment variable KEY_{n} is not set",
            value=f"KEY_{n}",
            hint=f"export KEY_{n}=…",
        )
        for n in range(missing)
    )
    detail = f"{missing} things are missing; nothing was changed"
    script = Script().stage(State.PREFLIGHT, OutcomeKind.FAILED, detail, faults)
    return script.ended(Verdict.PREFLIGHT, 4, StopReason.PREFLIGHT, detail=detail)


def partial() -> Script:
    script = Script(replace(RUN, partial="--suite p1-critical")).until_health({OLD: 100}).healthy()
    script.verify(PASSES, SuiteOutcome.PASSED, kind=OutcomeKind.PARTIAL)
    script.stage(State.SETTLE, OutcomeKind.PARTIAL)
    serving = left(OLD, verified=True, changed=False)
    return script.ended(Verdict.GREEN, 0, StopReason.GREEN, left=serving, restored="done")


def interrupted() -> Script:
    script = Script().until_health({OLD: 100})
    script.stage(State.HEALTH, OutcomeKind.INTERRUPTED, "stopped by SIGINT")
    script.stage(State.SETTLE, OutcomeKind.INTERRUPTED)
    serving = left(OLD, verified=True, changed=False)
    return script.ended(
        Verdict.INTERRUPTED, 130, StopReason.INTERRUPTED, left=serving, restored="done"
    )


MEND = "loopctl rollback golden-path --env local"


def restore_failed() -> Script:
    script = Script().until_health({OLD: 100}).healthy()
    script.verify((FAILING,), SuiteOutcome.FAILED, ("1 failed",), OutcomeKind.FAILED)
    script.stage(State.SETTLE, OutcomeKind.ERRORED, "the front door does not answer")
    script.stage(State.DIAGNOSE).stage(State.REMEDIATE)
    serving = left(NEW, verified=False, changed=True)
    return script.ended(
        Verdict.UNDELIVERED,
        5,
        StopReason.RESTORE_FAILED,
        left=serving,
        restored="failed",
        mend=MEND,
        detail="the front door does not answer",
    )


def two_cycles() -> Script:
    """The first cycle fails two cases; the second mends one, keeps one, breaks another."""
    script = Script().until_health({OLD: 100}).healthy()
    failed = [case(n, CaseStatus.FAILED) for n in ("test_a", "test_b")]
    script.verify(failed, SuiteOutcome.FAILED, ("2 failed",), OutcomeKind.FAILED)
    script.stage(State.DIAGNOSE, inside=[(FindingMade(FINDING), "chat", None)])
    done = RemedyDecided("run", "auto", "./fix.sh", "./fix.sh", "done", changed_source=True)
    script.stage(State.REMEDIATE, OutcomeKind.GO_BUILD, inside=[(done, None, None)])
    script.cycle = 2
    script.until_health({OLD: 100}).healthy()
    after = [case("test_a"), *(case(n, CaseStatus.FAILED) for n in ("test_b", "test_c"))]
    script.verify(after, SuiteOutcome.FAILED, ("2 failed",), OutcomeKind.FAILED)
    other = replace(FINDING, fingerprint="v1|message|other", signature=None, title="other")
    found = [(FindingMade(f), "chat", None) for f in (FINDING, other)]
    script.stage(State.DIAGNOSE, inside=found)
    serving = left(OLD, verified=True, changed=False)
    return script.ended(Verdict.RED, 1, StopReason.MAX_CYCLES, left=serving, restored="done")


def quarantined() -> Script:
    """Green, with a failure that is not counted, and a quarantine for a test that is gone."""
    quarantine = (
        ("tests/test_chat.py::test_known", "ana", "2026-12-31"),
        ("tests/test_chat.py::test_gone", "bo", "2027-01-31"),
    )
    script = Script(replace(RUN, suites=(replace(RUN.suites[0], quarantine=quarantine),)))
    script.until_health({OLD: 100}).healthy()
    script.verify((*PASSES, case("test_known", CaseStatus.FAILED)), SuiteOutcome.PASSED)
    script.stage(State.PROMOTE, inside=[(Routed(state({NEW: 100}), "promote"), "chat", None)])
    script.stage(State.CONFIRM)
    serving = left(NEW, verified=True, changed=True)
    return script.ended(Verdict.GREEN, 0, StopReason.GREEN, left=serving)


HOSTILE = (
    "\x1b[31mred\x1b[0m\x1b]0;title\x07 <script>alert(1)</script> <img src=x onerror=y>"
    " [click](javascript:x) ![i](http://evil) `code` ``` | pipe | @everyone #1 **bold** "
    "\u202edetrevni\u202c \x9b2J \x00 \udc80 \r\n# heading\n- item\n```\n</details>\n::error::x"
)


def hostile(long: str = "x" * 10_000) -> Script:
    """Every text that comes from outside is hostile, in every place where one can stand."""
    bad = HOSTILE + long
    facts = ServiceFacts("chat", impact=bad, impact_source=bad)
    suite = SuiteFacts("p1-critical", bad, "P1", "pytest", "verify", "observed", protects=bad)
    suite = replace(suite, quarantine=((bad + CaseStatus.FAILED.value, bad, bad), (bad, bad, bad)))
    run = replace(
        RUN,
        loop=HOSTILE,
        environment=HOSTILE,
        owner=bad,
        runbook=bad,
        services=(facts,),
        suites=(suite,),
        options={HOSTILE: bad},
        files={HOSTILE: bad},
        config_changed=(bad,),
        green_run=bad,
    )
    quote = Quote("log", bad, bad)
    finding = replace(
        FINDING,
        title=bad,
        evidence=(quote, quote),
        whys=(Why(bad, bad, "observed", 0),),
        fingerprint=bad,
        cases=(bad,),
    )
    script = Script(run).until_health({OLD: 100}).healthy()
    cases = [
        case("x", s, id=bad + s.value, message=bad, where=bad, detail=bad, output=bad, reason=bad)
        for s in CaseStatus
    ]
    script.verify(cases, SuiteOutcome.FAILED, (bad,), OutcomeKind.FAILED)
    script.add(CriteriaJudged((CriterionJudgement(bad, "<=", bad, 1.0, 1, 1, met=False),)))
    script.collected_logs()
    script.stage(State.SETTLE, detail=bad)
    fault = Fault(FaultKind.STORAGE, bad, "chat", bad, (quote,), bad)
    novel = NovelLine(bad, 1, bad, bad, baseline=True)
    inside: list[tuple[Payload, str | None, str | None]] = [
        (FindingMade(finding), "chat", None),
        (novel, "chat", None),
    ]
    script.stage(State.DIAGNOSE, OutcomeKind.ERRORED, bad, (fault,), inside)
    remedy = RemedyDecided("run", "propose", bad, bad, "proposed")
    script.stage(State.REMEDIATE, inside=[(remedy, None, None)])
    script.add(Result("build", bad, ok=False, detail=bad))
    serving = (
        replace(left(bad, verified=False, changed=True)[0], service=bad, url="http://h/" + bad),
    )
    return script.ended(
        Verdict.RED,
        1,
        StopReason.NEEDS_HUMAN,
        left=serving,
        restored="failed",
        mend=bad,
        detail=bad,
        problems=(bad, bad),
    )


ALL = {
    "green": green,
    "red": red,
    "unproven": unproven,
    "undelivered": lambda: undelivered({OLD: 100}),
    "first run": undelivered,
    "preflight": preflight,
    "partial": partial,
    "interrupted": interrupted,
    "restore failed": restore_failed,
    "two cycles": two_cycles,
    "quarantined": quarantined,
    "hostile": hostile,
}
