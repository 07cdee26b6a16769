"""Checks suites one at a time, and the rules that stand alone: paths and patterns."""

from __future__ import annotations

import re
from datetime import date

from loopctl.evidence.criteria import limit_fault
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.history_place import has_password, place_fault
from loopctl.loopfile.marks import quoted, shown_path
from loopctl.loopfile.nodes import Origin, Scalar, Table
from loopctl.loopfile.paths import folder_fault, is_file, written_path
from loopctl.loopfile.problems import Problems
from loopctl.model.plan import GS, BucketPlace

_PROCESS = frozenset({"pytest", "command"})
_KINDS_OF = {
    **dict.fromkeys(["run", "cwd", "env", "collect_min"], _PROCESS),
    # A shard is a pytest process that leaves out what is another's: no other runner can be told.
    **dict.fromkeys(["python", "shards", "executor"], frozenset({"pytest"})),
    "requests": frozenset({"http"}),
    **dict.fromkeys(["url", "headers", "send", "expect", "connections"], frozenset({"websocket"})),
}
_REQUIRED = {"command": ("run",), "http": ("requests",), "websocket": ("url", "expect")}
_JUNIT = "{junit}"
_VERBS = ("get", "head", "post", "put", "patch", "delete")
PATTERN = "re:"
_BUCKET = (
    "gs://bucket/prefix: the bucket in small letters, digits, - _ and ., "
    "the prefix in letters, digits and . _ - + = @ between single slashes"
)


def check_suites(chosen: Chosen, problems: Problems, today: date) -> None:
    """Every suite of the file."""
    for suite in chosen.suites:
        _check_kind(suite, problems)
        _check_control(suite, problems)
        cwd = suite.scalar("cwd")
        fault = folder_fault(written_path(cwd)) if cwd else None
        if cwd and fault:
            problems.add(cwd.mark, f"the folder {shown_path(written_path(cwd))} {fault}")
        for case in suite.items("quarantine"):
            _check_quarantine(case, suite.text("kind") or "pytest", today, problems)
        for request in suite.items("requests"):
            verbs = [v for v in _VERBS if isinstance(request, Table) and request.get(v)]
            if len(verbs) != 1 and isinstance(request, Table):
                problems.add(request.mark, "a request has exactly one of " + ", ".join(_VERBS))


def _check_kind(suite: Table, problems: Problems) -> None:
    kind = suite.text("kind") or "pytest"
    for key, kinds in _KINDS_OF.items():
        if kind not in kinds and suite.get(key) is not None:
            message = f'"{key}" is for {" and ".join(sorted(kinds))}; this suite is of kind '
            problems.add(suite.entries[key].mark, message + quoted(kind)[1:-1])
    for key in _REQUIRED.get(kind, ()):
        if suite.get(key) is None:
            problems.add(suite.mark, f'"{key}" is missing: kind {kind} needs it')

    limit = suite.scalar("timeout", "test")
    if kind == "command" and limit is not None:
        hint = "give its runner a limit for each test; timeout.suite holds for the whole command"
        problems.add(limit.mark, '"timeout.test" is not for command: nobody sees its tests', hint)
    run = suite.scalar("run")
    if kind == "command" and run is not None and _JUNIT not in run.text:
        hint = "write {junit} where the runner is told the file of its JUnit report"
        problems.add(run.mark, "run does not say where the JUnit report goes", hint)


def _check_control(suite: Table, problems: Problems) -> None:
    """A control run needs pytest, and tests that do no harm when they are run twice."""
    control = suite.scalar("evidence", "control")
    if control is None or control.text == "off":
        return
    if (suite.text("kind") or "pytest") != "pytest":
        hint = "take it away: what loopctl asks by itself, it cannot pass without its target"
        problems.add(control.mark, "only suites of kind pytest have a control run", hint)
    elif suite.text("repeatable") != "true":
        hint = "add `repeatable: true` if running a test twice harms nothing"
        problems.add(control.mark, "a control run runs passing tests a second time", hint)


def _check_quarantine(case: object, kind: str, today: date, problems: Problems) -> None:
    until = case.scalar("until") if isinstance(case, Table) else None
    name = case.scalar("case") if isinstance(case, Table) else None
    if kind == "pytest" and name is not None and name.text.endswith(".py"):
        # Broken when it cannot be imported: nobody would see which of its cases are missing.
        hint = "name its cases one by one, as `tests/test_a.py::test_b`"
        problems.add(name.mark, "a quarantine is for a case; a file would hide all its own", hint)
    try:
        past = until is not None and date.fromisoformat(until.text) < today
    except ValueError:
        return
    if until and past:
        hint = "mend the case, or set a later day and say why"
        problems.add(until.mark, f"this quarantine ended on {until.text}", hint)


def check_rest(chosen: Chosen, problems: Problems) -> None:
    """Limits of criteria, signature files, patterns of `worklog.redact`, the bucket's URL."""
    _check_history(chosen.document.scalar("history"), problems)
    for criterion in chosen.document.items("criteria"):
        if isinstance(criterion, Table):
            _check_limit(criterion, problems)
    for signature in chosen.document.items("signatures"):
        if isinstance(signature, Scalar) and isinstance(signature.value, str):
            path = written_path(signature)
            if not is_file(path):
                problems.add(signature.mark, f"there is no file {shown_path(path)}")
    for rule in chosen.document.items("worklog", "redact"):
        if isinstance(rule, Scalar) and isinstance(rule.value, str):
            _check_redact(rule, problems)


def _check_history(history: Scalar | None, problems: Problems) -> None:
    if history is None or history.origin is Origin.UNRESOLVED or "://" not in history.text:
        return
    if history.text.startswith(GS):
        if BucketPlace.of_url(history.text) is None:
            what = f"{quoted(history.text)} names no place in a bucket"
            problems.add(history.mark, what, _BUCKET)
    elif not history.text.startswith("file://") and (fault := place_fault(history.text)):
        if has_password(history.text):
            problems.hide(history)
        problems.add(history.mark, *fault)


def _check_limit(criterion: Table, problems: Problems) -> None:
    metric, value = criterion.scalar("metric"), criterion.scalar("value")
    if metric is None or value is None:
        return
    try:
        fault = limit_fault(metric.text, value.text)
    except ValueError:
        return  # the schema says that it is neither a number nor a duration
    if fault is not None:
        problems.add(value.mark, fault)


def _check_redact(rule: Scalar, problems: Problems) -> None:
    if not rule.text.startswith(PATTERN):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rule.text):
            hint = "a pattern starts with `re:`"
            problems.add(rule.mark, "must be the name of a variable or a pattern", hint)
        return
    fault = pattern_fault(rule.text.removeprefix(PATTERN))
    if fault:
        problems.add(rule.mark, f"this pattern {fault}")


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern must not be used: it does not compile, matches nothing at all, or may hang."""
    try:
        compiled = re.compile(pattern.encode())
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        return f"does not compile: {quoted(str(error))[1:-1]}"
    if compiled.match(b""):
        return "matches the empty text, so it would match everywhere"
    if _repeats_a_repeat(pattern):
        return "repeats a group that repeats: on some lines it would never end"
    return None


def _repeats_a_repeat(pattern: str) -> bool:
    """Whether an unbounded group has an unbounded repeat in it: the usual catastrophe."""
    bare = re.sub(r"\\.", "e", pattern, flags=re.DOTALL)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "c", bare)
    repeat = re.compile(r"[*+]|\{\d*,\}")
    open_groups = [False]
    for at, char in enumerate(bare):
        if char == "(":
            open_groups.append(False)
        elif char == ")" and len(open_groups) > 1:
            inside = open_groups.pop()
            if inside and repeat.match(bare, at + 1):
                return True
            open_groups[-1] |= inside
        elif repeat.match(bare, at):
            open_groups[-1] = True
    return False
