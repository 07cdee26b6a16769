"""`junit.xml`: the last cycle for CI systems.

JUnit has four results, loopctl seven statuses and six grades. `failed` and `timeout` are failures,
`broken` and `lost` errors. A pass below the grade its suite requires is written as *skipped*, with
the reason: a dashboard that shows it green would say what nobody has shown. Every case has the
properties `status`, `grade`, `reason`. A suite that does not count as passed although no case of
it says so (nothing collected, no end reported, not run) gets one case named after the suite. A
quarantined case that did not pass is *skipped* too, with whose it is. The criteria are the cases of
a suite `criteria`.

GitLab shows the text of an element and not its `message`, so the text says both; it follows `file`
from the repository's root, keeps only the first of two cases with the same names, and takes
`[[ATTACHMENT|path]]` in what a test printed for a file to offer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from posixpath import join, normpath
from typing import assert_never
from xml.etree import ElementTree as ET

from loopctl.evidence.criteria import measured, told
from loopctl.inert import for_xml
from loopctl.journal.codec import JournalError
from loopctl.journal.quarantine import NotCounted, not_counted
from loopctl.journal.wording import iso
from loopctl.journal.worklog import SuiteRecord, Worklog
from loopctl.model.events import SuiteFacts
from loopctl.model.evidence import CaseStatus, CriterionJudgement, Grade, GradedCase, SuiteOutcome
from loopctl.reports.facts import by_priority, outcome_of

_OUTPUT = 4000
_MESSAGE = 1000


def junit(worklog: Worklog) -> bytes:
    """The document, UTF-8."""
    root = ET.Element("testsuites", name=for_xml(worklog.run.loop))
    suites = by_priority(worklog.last.suites.values()) if worklog.last else ()
    again = _told_twice(suites)
    for suite in suites:
        root.append(_suite(suite, again))
    if worklog.last is not None and worklog.last.criteria:
        root.append(_criteria(worklog.last.criteria))
    if worklog.ended is not None:
        root.set("time", f"{worklog.ended.duration_s:.3f}")
    _count(root)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _told_twice(suites: Iterable[SuiteRecord]) -> frozenset[str]:
    """The cases that several suites have."""
    found = Counter(case for suite in suites for case in {case.id for case in suite.cases})
    return frozenset(case for case, number in found.items() if number > 1)


def _suite(suite: SuiteRecord, again: frozenset[str]) -> ET.Element:
    element = ET.Element("testsuite", name=for_xml(suite.facts.id))
    if suite.started_at is not None:
        element.set("timestamp", iso(suite.started_at))
    if suite.judgement is not None:
        element.set("time", f"{suite.judgement.duration_s:.3f}")
    reasons = "; ".join(suite.judgement.reasons) if suite.judgement else "the run ended before it"
    outcome = outcome_of(suite)
    properties = {"outcome": outcome, "priority": suite.facts.priority, "reasons": reasons}
    _properties(element, properties)
    required = _required(suite.facts)
    excused = {each.case.id: each for each in not_counted([suite])}
    for case in suite.cases:
        element.append(_case(suite.facts, case, required, excused.get(case.id)))
        if case.id in again:
            element[-1].set("classname", f"{element[-1].get('classname')} ({element.get('name')})")
    if outcome is not SuiteOutcome.PASSED and not _says_so(element):
        element.append(_whole(suite, outcome, reasons))
    _count(element)
    return element


def _required(suite: SuiteFacts) -> Grade:
    try:
        return Grade(suite.require)
    except ValueError as error:
        raise JournalError(f"the journal requires no grade of {suite.id}: {error}") from error


def _case(
    suite: SuiteFacts, case: GradedCase, required: Grade, excused: NotCounted | None = None
) -> ET.Element:
    folder, _, name = case.id.rpartition("::")
    element = ET.Element(
        "testcase",
        classname=for_xml(folder or suite.id),
        name=for_xml(name),
        time=f"{case.duration_s:.3f}",
    )
    if folder and suite.kind == "pytest" and suite.cwd is not None:
        element.set("file", for_xml(normpath(join(suite.cwd, folder.partition("::")[0]))))
    grade = case.grade.value if case.grade else ""
    _properties(element, {"status": case.status, "grade": grade, "reason": case.reason or ""})
    if excused is None:
        _result(element, case, required)
    else:
        message = f"not counted: {excused.entry}; {case.status.value}: {case.message or ''}"
        _skipped(element, message)
    if case.output:
        ET.SubElement(element, "system-out").text = _text(case.output[-_OUTPUT:])
    return element


def _skipped(element: ET.Element, message: str) -> None:
    _with_text(element, "skipped", message[:_MESSAGE])


def _with_text(element: ET.Element, name: str, message: str) -> None:
    ET.SubElement(element, name, message=for_xml(message)).text = _text(message)


def _text(text: str) -> str:
    return for_xml(text).replace("[[ATTACHMENT|", "[[ATTACHMENT\\|")


def _result(element: ET.Element, case: GradedCase, required: Grade) -> None:
    message = (case.message or case.status.value)[:_MESSAGE]
    match case.status:
        case CaseStatus.PASSED:
            _pass(element, case, required)
        case CaseStatus.FAILED | CaseStatus.TIMEOUT:
            _ended(element, "failure", message, case)
        case CaseStatus.BROKEN | CaseStatus.LOST:
            _ended(element, "error", message, case)
        case CaseStatus.SKIPPED:
            _skipped(element, message)
        case CaseStatus.FLAKY:
            _flaky(element, message, case)
            _pass(element, case, required)
        case _:
            assert_never(case.status)


def _pass(element: ET.Element, case: GradedCase, required: Grade) -> None:
    grade = case.grade or Grade.UNPROVEN
    if grade.rank < required.rank:
        why = f"passed, but {grade.value}, and {required.value} is required: {case.reason or ''}"
        _skipped(element, why)


def _ended(element: ET.Element, name: str, message: str, case: GradedCase) -> None:
    child = ET.SubElement(element, name, message=for_xml(message), type=case.status.value)
    detail = (case.detail or case.where or "")[:_OUTPUT]
    child.text = _text(detail if message in detail else f"{message}\n\n{detail}".rstrip())


def _flaky(element: ET.Element, message: str, case: GradedCase) -> None:
    """The first failure, as Maven's Surefire writes it; readers that do not know it see a pass."""
    child = ET.SubElement(element, "flakyFailure", message=for_xml(message), type=case.status.value)
    ET.SubElement(child, "stackTrace").text = for_xml((case.detail or case.where or "")[:_OUTPUT])


def _says_so(suite: ET.Element) -> bool:
    return any(case.find(name) is not None for case in suite for name in _NOT_A_PASS)


_NOT_A_PASS = ("failure", "error", "skipped")


def _whole(suite: SuiteRecord, outcome: SuiteOutcome, reasons: str) -> ET.Element:
    name = for_xml(suite.facts.id)
    element = ET.Element("testcase", classname=name, name="the suite itself", time="0.000")
    kind = "skipped" if outcome is SuiteOutcome.NOT_RUN else "error"
    _with_text(element, kind, f"{outcome.value}: {reasons}"[:_MESSAGE])
    return element


def _criteria(criteria: Sequence[CriterionJudgement]) -> ET.Element:
    """A suite of its own: a dashboard that knows no criteria shows a missed one as a failure."""
    element = ET.Element("testsuite", name="criteria")
    for judged in criteria:
        name = for_xml(f"{judged.metric} {judged.op} {judged.limit}")
        case = ET.SubElement(element, "testcase", classname="criteria", name=name, time="0.000")
        _properties(case, {"value": measured(judged), "samples": str(judged.samples)})
        if judged.met is not True:
            kind = "skipped" if judged.met is None else "failure"
            _with_text(case, kind, told(judged))
    _count(element)
    return element


def _properties(element: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=name, value=for_xml(value[:_MESSAGE]))


def _count(element: ET.Element) -> None:
    """Write the totals as they are in the document, so that they cannot disagree with it."""
    element.set("tests", str(len(list(element.iter("testcase")))))
    for attribute, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(element.iter(name)))))
