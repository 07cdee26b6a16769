"""What JUnit XML of every dialect, and of none, comes to as cases."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import junit_samples
import pytest

from loopctl.errors import Stopped
from loopctl.model.evidence import Case, CaseStatus, Sample
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.junit.cases import CaseMaker, TheCommand
from loopctl.suites.junit.copy import JUnitCopies
from loopctl.suites.junit.properties import TraceClaims, seconds_of
from loopctl.suites.junit.reader import read_report
from loopctl.suites.junit.report import ReportedCase, ReportEnd
from loopctl.suites.junit.reports import Survey, read_reports, reports_at

SECRET = "s3cr3t-of-the-service-77"
BEGAN = datetime(2026, 1, 2, 10, tzinfo=UTC)


@dataclass
class Read:
    """A report, read."""

    cases: list[Case]
    end: ReportEnd

    def statuses(self) -> dict[str, str]:
        return {case.id: str(case.status) for case in self.cases}

    def case(self, name: str) -> Case:
        return next(case for case in self.cases if case.id == name)


def read(xml: str | bytes, foreign: tuple[str, ...] = ()) -> Read:
    data = xml.encode() if isinstance(xml, str) else xml
    told: list[ReportedCase] = []
    end = read_report(io.BytesIO(data), told.append, Stop(30))
    survey = Survey(TraceClaims(foreign))
    for reported in told:
        survey.note(reported)
    command = TheCommand("npx", Path("/work/app"), BEGAN, 100.0)
    redactor = Redactor({"TOKEN": SECRET})
    maker = CaseMaker(redactor, command, survey.claims, many_hosts=len(survey.hosts) > 1)
    return Read([maker.case(reported) for reported in told], end)


def one(inside: str, attributes: str = 'name="t"') -> Case:
    """The case of a report that has just this one."""
    [case] = read(f"<testsuite><testcase {attributes}>{inside}</testcase></testsuite>").cases
    return case


DIALECTS = {
    "JEST": {
        "Login takes a password": "passed",
        "Login refuses a wrong one": "failed",
        "Login later": "skipped",
    },
    "PLAYWRIGHT": {
        "shop.spec.ts::cart › adds [chromium]": "passed",
        "shop.spec.ts::cart › pays [chromium]": "flaky",
        "shop.spec.ts::cart › adds [firefox]": "passed",
        "shop.spec.ts::cart › pays [firefox]": "failed",
    },
    "SUREFIRE": {
        "com.acme.LoginTest::works": "passed",
        "com.acme.LoginTest::isFlaky": "flaky",
        "com.acme.LoginTest::fails": "failed",
    },
    "GOTESTSUM": {
        "acme.dev/shop::TestCart": "passed",
        "acme.dev/shop::TestPay/by_card": "failed",
        "acme.dev/shop::TestLater": "skipped",
    },
    "NEXTEST": {"shop::api::is_up": "passed", "shop::api::pays": "failed"},
    "CTEST": {"ok": "passed", "bad": "failed", "off": "skipped", "gone": "skipped"},
    "PYTEST": {
        "tests.test_a.TestCart::test_adds[1]": "passed",
        "tests.test_a::test_pays": "failed",
        "tests.test_a::test_pays#2": "failed",
        "tests.test_a::test_known": "skipped",
    },
    "NODE": {
        "top": "passed",
        "login::works": "passed",
        "login::deep::works": "passed",
        "login::deep::later": "skipped",
        "login::deep::known": "skipped",
    },
    "MOCHA": {"Cart::adds": "passed", "Cart::pays": "failed"},
    "CATCH2": {"shop.global::adds": "passed", "shop.global::pays": "failed"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read_whole(dialect: str) -> None:
    told = read(getattr(junit_samples, dialect))

    assert told.statuses() == DIALECTS[dialect]
    assert (told.end.missing, told.end.unexplained, told.end.broken) == (0, 0, None)
    assert all(case.message for case in told.cases if case.status is not CaseStatus.PASSED)


def test_a_message_says_what_went_wrong_and_what_the_report_cannot_tell() -> None:
    playwright = read(junit_samples.PLAYWRIGHT)
    surefire = read(junit_samples.SUREFIRE)
    flaky = surefire.case("com.acme.LoginTest::isFlaky")

    assert playwright.case("shop.spec.ts::cart › pays [firefox]").message == (
        "Error: net::ERR_CONNECTION_REFUSED; failed in 1 rerun too;"
        " an <error>: the report does not say whose code raised it"
    )
    assert flaky.message == (
        "passed when run again; before: AssertionFailedError: expected: <200> but was: <503>"
    )
    assert "LoginTest.java:12" in (flaky.longrepr or "")
    assert "asked once" in flaky.output
    assert surefire.case("com.acme.LoginTest::fails").message == (
        "ConnectException: down; failed in 2 reruns too"
    )
    mocha = read(junit_samples.MOCHA).case("Cart::pays")
    assert mocha.message == "expected 1 to equal 2"
    assert "test/cart.js:8:14" in (mocha.longrepr or "")
    node = read(junit_samples.NODE)
    assert node.case("login::deep::known").message == "known to fail: testCodeFailure: x"
    assert node.case("login::deep::later").message == "skipped"
    assert "printed before it failed" in read(junit_samples.CTEST).case("bad").output


def test_a_file_that_never_ran_is_no_pass_though_no_case_tells_of_it() -> None:
    told = read(junit_samples.JEST_BROKEN_FILE)

    assert told.statuses() == {"A works": "passed"}
    assert told.end.unexplained == 1
    # Old mocha counts a failure as an error too.
    twice = read('<testsuite failures="1" errors="1"><testcase><failure/></testcase></testsuite>')
    assert twice.end.unexplained == 0


def test_a_truncated_report_counts_up_to_the_break_and_tells_how_many_are_missing() -> None:
    whole = junit_samples.GOTESTSUM

    in_a_case = read(whole[: whole.index("pay_test.go:8")])
    between = read(whole[: whole.index('<testcase classname="acme.dev/shop" name="TestPay')])

    # What was read of its failure says that it failed.
    assert list(in_a_case.statuses().values()) == ["passed", "failed"]
    assert in_a_case.end.missing == 1
    assert list(between.statuses().values()) == ["passed"]
    assert between.end.missing == 2
    assert between.end.broken == "no element found at line 6, column 3"


def test_a_case_whose_end_is_missing_is_lost() -> None:
    told = read('<testsuite tests="3"><testcase name="a"/><testcase name="b"><system-out>so far')

    assert told.statuses() == {"a": "passed", "b": "lost"}
    assert told.case("b").message == "the report breaks off in it"
    assert told.case("b").phases == ()
    assert told.end.missing == 1


def test_what_stands_after_something_malformed_is_lost() -> None:
    told = read('<testsuite tests="3"><testcase name="a"/><testcase name="b" & /></testsuite>')

    assert told.statuses() == {"a": "passed"}
    assert told.end.missing == 2
    assert "not well-formed" in (told.end.broken or "")


@pytest.mark.parametrize("own", ["1", "3"], ids=["own cases", "all cases"])
def test_a_suite_may_count_its_own_cases_or_all_below_it(own: str) -> None:
    inner = '<testsuite name="i" tests="{}"><testcase name="a"/><testcase name="b"/></testsuite>'
    outer = f'<testsuite name="o" tests="{own}">{{}}<testcase name="c"/></testsuite>'

    assert read(outer.format(inner.format(2))).end.missing == 0
    assert read(outer.format(inner.format(5))).end.missing == 3


def test_a_doctype_is_refused_and_nothing_of_the_report_counts() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = (
        f'<!DOCTYPE t [<!ENTITY l0 "lol">{laughs}]><testsuite><testcase name="&l9;"/></testsuite>'
    )
    outside = (
        '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        '<testsuite><testcase name="&x;"/></testsuite>'
    )
    for xml in (bomb, outside):
        told = read(xml)
        assert told.cases == []
        assert "DOCTYPE, which is refused" in (told.end.broken or "")
    assert "undefined entity" in (read("<testsuite>&x;</testsuite>").end.broken or "")


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("", "no element found"),
        ("   \n", "no element found"),
        ("<html><body>502</body></html>", "its root is <html>"),
        ("Error: out of memory\n<testsuite/>", "syntax error"),
        ("<testsuite>" * 70, "nested more than 64 deep"),
        (b"\x00" * 100, "not well-formed"),
    ],
)
def test_what_is_no_report_has_no_case_and_says_why(xml: str | bytes, said: str) -> None:
    told = read(xml)

    assert told.cases == []
    assert said in (told.end.broken or "")


def test_an_empty_report_is_whole_and_has_no_case() -> None:
    assert read("<testsuites/>").end == ReportEnd(0, 0, 0, None)


@pytest.mark.parametrize(
    ("codec", "start"),
    [
        ("utf-16", '<?xml version="1.0" encoding="utf-16"?>'),
        ("utf-16-le", ""),
        ("utf-32", ""),
        ("utf-8-sig", '<?xml version="1.0"?>'),
        ("utf-8", '\n\n<?xml version="1.0"?>'),
        ("utf-8", '<?xml version="1.1"?>'),
        ("latin-1", '<?xml version="1.0" encoding="ISO-8859-1"?>'),
        ("shift-jis", '<?xml version="1.0" encoding="Shift_JIS"?>'),
        # From here on they lie.
        ("utf-8", '<?xml version="1.0" encoding="UTF-16"?>'),
        ("utf-8", '<?xml version="1.0" encoding="ISO-8859-1"?>'),
        ("utf-8", '<?xml version="1.0" encoding="no-such-thing"?>'),
        ("utf-8", '<?xml version="1.0" encoding="zlib"?>'),
    ],
)
def test_a_report_is_read_in_its_encoding_whatever_it_declares(codec: str, start: str) -> None:
    name = "カート" if codec == "shift-jis" else "größe"
    xml = f'{start}<testsuite tests="1"><testcase name="{name}">x</testcase></testsuite>'

    told = read(xml.encode(codec))

    assert told.statuses() == {name: "passed"}
    assert told.end.broken is None


def test_bytes_of_no_encoding_and_forbidden_characters_cost_no_case() -> None:
    start = '<testsuite tests="2"><testcase name="a"><failure message="'
    rest = '">x</failure></testcase><testcase name="b"/></testsuite>'
    told = [
        read(start.encode() + dirt + rest.encode())
        for dirt in (b"\xff\xfe bad", b"\x1b[31mred\x00", b"&#27;[31m&#x0;&#xFFFF;&#xd800;")
    ]

    assert [each.statuses() for each in told] == [{"a": "failed", "b": "passed"}] * 3
    assert [each.case("a").message for each in told] == [
        "\\xff\\xfe bad",
        "\\x1b[31mred\\x00",
        "\\x1b[31m\\x00\\uffff\\ud800",
    ]


def test_an_encoding_that_is_none_of_text_is_not_tried() -> None:
    xml = '<?xml version="1.0" encoding="zlib"?><testsuite><testcase name="größe"/></testsuite>'

    assert read(xml.encode("latin-1")).statuses() == {"gr\\xf6\\xdfe": "passed"}


def test_a_reference_is_read_wherever_a_block_ends() -> None:
    filler = '<testsuite tests="1"><testcase name="a"><system-out>'
    for shift in range(9):
        text = filler + "x" * (256 * 1024 - len(filler) - shift) + "&#x1b;&#65;|"
        told = read(text + "</system-out></testcase></testsuite>")
        assert told.end.broken is None
        assert told.cases[0].output.endswith("x\\x1bA|")


def test_namespaces_and_cdata_make_no_difference() -> None:
    told = read(
        '<j:testsuite xmlns:j="urn:junit" tests="1"><j:testcase name="a"><j:failure>'
        "<![CDATA[a < b]]> and <![CDATA[c]]></j:failure></j:testcase></j:testsuite>"
    )

    assert told.case("a").longrepr == "a < b and c"
    assert told.case("a").status is CaseStatus.FAILED


def test_a_failure_outside_of_any_case_is_a_failed_case_of_its_own() -> None:
    told = read('<testsuite tests="1"><error message="no db"/><testcase name="a"/></testsuite>')

    assert told.statuses() == {"(outside of any case)": "failed", "a": "passed"}
    assert told.end.missing == 0


def test_a_failure_counts_however_deep_it_stands_in_its_case() -> None:
    assert one("<steps><step><failure message='x'/></step></steps>").status is CaseStatus.FAILED
    assert one("<testcase name='i'><failure/></testcase>").status is CaseStatus.FAILED


def test_a_status_that_says_failed_is_never_a_pass() -> None:
    case = one("", 'name="t" status="Failed"')

    assert (case.status, case.message) == (CaseStatus.FAILED, "the report says so (failed)")
    assert one("", 'name="t" status="run" result="completed"').status is CaseStatus.PASSED
    assert one("", 'name="t" status="notrun" result="suppressed"').status is CaseStatus.SKIPPED


@pytest.mark.parametrize("word", ["Not Run", "not_run", "undefined", "untested", "xfail"])
def test_what_was_not_run_is_no_pass_however_that_is_written(word: str) -> None:
    assert one("", f'name="t" result="{word}"').status is CaseStatus.SKIPPED


@pytest.mark.parametrize("said", ["skipped", "flakyFailure"])
def test_no_number_of_other_words_crowds_a_failure_out(said: str) -> None:
    assert one(f"<{said}/>" * 60 + "<failure/>").status is CaseStatus.FAILED


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ('name="t"', "t"),
        ("", "(no name)"),
        ('name=" a&#10;  b "', "a b"),
        ('name="t" classname="pkg.C" file="a/b.py"', "pkg.C::t"),
        ('name="t" file="/work/app/a/b.js"', "a/b.js::t"),
        ('name="t" file="/elsewhere/b.js" classname="test"', "/elsewhere/b.js::t"),
        ('name="A t" classname="A t" file="a.test.js"', "a.test.js::A t"),
    ],
)
def test_an_id_is_place_and_name(attributes: str, name: str) -> None:
    assert one("", attributes).id == name


def test_ids_are_told_apart_and_stay_short() -> None:
    cases = "".join(f'<testcase name="{name}"/>' for name in ("a", "a#2", "a", "a"))
    long = "".join(f'<testcase name="{"x" * 3000}{end}"/>' for end in "yz")

    assert list(read(f"<testsuite>{cases}</testsuite>").statuses()) == ["a", "a#2", "a#3", "a#4"]
    first, second = read(f"<testsuite>{long}</testsuite>").statuses()
    assert first != second
    assert max(len(first), len(second)) <= 604


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0.25", 0.25),
        ("0,25", 0.25),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1 234.5", 1234.5),
        ("1.5e-05", 1.5e-05),
        ("3", 3.0),
        ("", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("9" * 39, None),
        ("0.5s", None),
    ],
)
def test_a_time_is_read_in_every_locale_or_not_at_all(told: str, seconds: float | None) -> None:
    assert seconds_of(told) == seconds


def test_a_case_took_no_longer_than_its_command() -> None:
    assert one("", 'name="t" time="99"').duration_s == 99.0
    assert one("", 'name="t" time="1500"').duration_s == 0.0


def test_a_pass_is_a_child_process_of_unknown_time() -> None:
    [phase] = one("").phases

    assert phase.children == ("npx",)
    assert (phase.began, phase.ended, phase.own_traces) == (None, None, ())
    assert one("<skipped/>").phases == ()


def _claiming(*traces: str) -> Iterable[str]:
    for number, trace in enumerate(traces):
        yield (
            f'<testcase name="t{number}"><properties><property name="traceparent" value="{trace}"/>'
            "</properties></testcase>"
        )


def test_a_case_has_the_traces_that_it_alone_claims() -> None:
    own, shared, suites = ("a" * 32, "b" * 32, "c" * 32)
    parents = [f"00-{trace}-{'1' * 16}-01" for trace in (own, shared, shared, suites, "0" * 32)]
    told = read(f"<testsuite>{''.join(_claiming(*parents, 'nonsense'))}</testsuite>", (suites,))

    assert [case.phases[0].own_traces for case in told.cases] == [(own,), (), (), (), (), ()]


def test_measurements_are_samples() -> None:
    told = {"cart.add": "250ms", "rows": "12", "ratio": "1.5e-3", "late": "2m"}
    bad = {"a b": "1", "rows": "many", "nan": "nan", "": "1"}
    bad |= dict.fromkeys(["http", "error", "ws.connect"], "0")  # loopctl's own to measure
    properties = "".join(
        f'<property name="loopctl.metric.{name}" value="{value}"/>'
        for name, value in [*told.items(), *bad.items()]
    )
    text = '<property name="loopctl.metric.text"><![CDATA[ 3s ]]></property>'
    case = one(f"<properties>{properties}{text}</properties>")

    assert case.samples == (
        Sample("cart.add", 0.25),
        Sample("rows", 12.0),
        Sample("ratio", 0.0015),
        Sample("late", 120.0),
        Sample("text", 3.0),
    )


def test_no_secret_comes_out_of_any_part_of_a_case() -> None:
    half = "".join(f"&#{ord(char)};" for char in SECRET)
    case = one(
        f'<failure type="{SECRET}" message="{half}">{SECRET[:9]}<![CDATA[{SECRET[9:]}]]></failure>'
        f"<system-out>{SECRET}</system-out>",
        f'name="{SECRET}" classname="{half}"',
    )

    assert SECRET not in repr(case)
    assert "[redacted:TOKEN]" in case.id


def test_half_a_secret_at_the_edge_of_a_cut_is_not_shown() -> None:
    for shift in range(0, 60, 7):
        text = "x" * (16_000 - shift) + SECRET + "y" * 40_000
        case = one(f"<failure>{text}</failure><system-out>{text}</system-out>")
        shown = f"{case.longrepr}{case.output}"
        assert not any(SECRET[:length] in shown for length in range(6, len(SECRET)))
        assert case.output.endswith("y" * 16_000)
        assert len(case.longrepr or "") < 17_000
        assert len(case.output) < 17_000


def test_memory_is_bounded_by_what_is_kept() -> None:
    many = b"<testcase name='a'><system-out>" + b"x y\n" * 250_000 + b"</system-out></testcase>"
    huge = b'<testcase name="b"><failure message="' + b"z" * 30_000_000 + b'"/></testcase>'
    tracemalloc.start()
    told: list[ReportedCase] = []
    data = b"<testsuite>" + many * 20 + huge
    before, _ = tracemalloc.get_traced_memory()
    end = read_report(io.BytesIO(data), told.append, Stop(60))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(told) == 21
    assert end.broken == "one piece of it is larger than 6 MiB"
    assert peak - before < len(data) + 40_000_000


def test_reading_ends_when_it_is_told_to() -> None:
    stop = Stop()
    stop.stop("SIGTERM")

    with pytest.raises(Stopped, match="SIGTERM"):
        read_report(io.BytesIO(b"<testsuite/>"), lambda _: None, stop)


def test_a_folder_is_read_like_one_report_and_what_breaks_is_named(tmp_path: Path) -> None:
    (tmp_path / "TEST-a.xml").write_text('<testsuite tests="1"><testcase name="a"/></testsuite>')
    (tmp_path / "TEST-b.xml").write_text('<testsuite tests="3"><testcase name="b"/>')
    (tmp_path / "testng-failed.xml").write_text("<!DOCTYPE suite><suite/>")
    (tmp_path / "failsafe-summary.xml").write_text("<failsafe-summary/>")
    told: list[ReportedCase] = []

    end = read_reports(reports_at(tmp_path), told.append, Stop(30))

    assert [case.name for case in told] == ["a", "b"]
    assert (end.cases, end.missing) == (2, 2)
    assert (end.broken or "").startswith("TEST-b.xml: no element found")


def test_a_pipe_where_a_report_belongs_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "junit.xml")

    end = read_reports(reports_at(tmp_path / "junit.xml"), lambda _: None, Stop(30))

    assert end.broken == "junit.xml: it is no regular file"
    assert reports_at(tmp_path / "nothing") == []


def test_the_copy_of_a_report_is_whole_xml_without_secrets(tmp_path: Path) -> None:
    report = tmp_path / "in.xml"
    report.write_text(
        f'<testsuite tests="2" x:y="&#115;{SECRET[1:]}"><testcase name="&lt;a&gt;"><failure>'
        f"{SECRET[:5]}<![CDATA[{SECRET[5:]} & more]]></failure></testcase><testcase name='b'><!-- "
    )
    copies = JUnitCopies(tmp_path, Redactor({"TOKEN": SECRET}))

    read_reports([report], lambda _: None, Stop(30), copies)

    kept = tmp_path / "junit.xml"
    text = kept.read_text()
    assert [case.get("name") for case in ET.fromstring(text.replace("x:y", "y"))] == ["<a>", "b"]
    assert "[redacted:TOKEN] &amp; more" in text
    assert SECRET[5:] not in text
    assert "breaks off here" in text
    assert kept.stat().st_mode & 0o777 == 0o600


def test_only_small_reports_are_copied(tmp_path: Path) -> None:
    for number, length in enumerate((100, 2_000_000, 100)):
        path = tmp_path / f"{number}.xml"
        path.write_text(f"<testsuite><system-out>{'x' * length}</system-out></testsuite>")
    folder = tmp_path / "kept"
    folder.mkdir()
    copies = JUnitCopies(folder, Redactor({}))

    read_reports(reports_at(tmp_path), lambda _: None, Stop(30), copies)

    assert sorted(path.name for path in folder.iterdir()) == ["junit-2.xml", "junit.xml"]
    assert copies.error is None
