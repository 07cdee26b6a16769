"""What the command adapter makes of real runners, real processes, and what they leave behind."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_suite_rig import PYTHON, SEED, Commanded, report
from pytest_suite_rig import SECRET
from suite_fixtures import a_service, interrupted_once_begun

from loopctl.evidence.grade import grade
from loopctl.model.evidence import Case, Grade, Grading, Receipt, Sample
from loopctl.ports.suite import SuiteError
from loopctl.process import Stop, identify, utc_now
from loopctl.suites.suite_environment import traceparent

PYTEST = f"{shlex.quote(PYTHON)} -m pytest -q -p no:cacheprovider --junitxml={{junit}}"


service = pytest.fixture(scope="module")(a_service)


@pytest.fixture
def project(tmp_path: Path) -> Commanded:
    return Commanded.at(tmp_path)


def left(xml: str, then: str = "") -> str:
    """A shell line that leaves this report, and goes on."""
    return f"printf %s {shlex.quote(xml)} > {{junit}}; {then}"


def graded(case: Case, *receipts: Receipt) -> Grading:
    return grade(
        case,
        receipts=receipts,
        revisions={"chat": "chat-1"},
        loopback_is_target=True,
        health_paths=(),
        receipts_available=True,
    )


def receipt(trace: str, at: datetime) -> Receipt:
    by = "trace" if trace else "request"
    return Receipt(trace, at, "chat", "chat-1", "GET", "/message", 200, by, 40_000)  # type: ignore[arg-type]


def test_pytest_as_a_command_tells_every_ending_and_what_its_cases_record(
    tmp_path: Path, service: str
) -> None:
    project = Commanded.at(tmp_path, service)
    project.write(
        "tests/test_a.py",
        """
        import os, pytest, urllib.request

        TRACE = "00-" + "5" * 32 + "-" + "6" * 16 + "-01"

        def test_meets(record_property):
            request = urllib.request.Request(os.environ["BASE_URL"], headers={"traceparent": TRACE})
            assert urllib.request.urlopen(request).status == 200
            record_property("traceparent", TRACE)
            record_property("loopctl.metric.chat.answer", "250ms")

        def test_meets_too():
            assert urllib.request.urlopen(os.environ["LOOPCTL_URL_CHAT"]).status == 200

        def test_fails(): assert 1 == 2, "so"
        @pytest.mark.skip(reason="not today")
        def test_skipped(): ...
        @pytest.fixture
        def broken(): raise OSError("no db")
        def test_broken(broken): ...
        """,
    )

    end = project.run(f"{PYTEST} tests")

    assert project.statuses() == {
        "tests.test_a::test_meets": "passed",
        "tests.test_a::test_meets_too": "passed",
        "tests.test_a::test_fails": "failed",
        "tests.test_a::test_skipped": "skipped",
        "tests.test_a::test_broken": "failed",
    }
    assert (end.complete, end.collected, end.exit_code, end.detail) == (True, 5, 1, "")
    assert project.case("tests.test_a::test_fails").message == "AssertionError: so"
    assert "assert 1 == 2" in (project.case("tests.test_a::test_fails").longrepr or "")
    meets = project.case("tests.test_a::test_meets")
    assert meets.samples == (Sample("chat.answer", 0.25),)
    own = receipt("5" * 32, utc_now())
    assert graded(meets, own).grade is Grade.PROVEN
    # Nobody can say whose a request without a trace is, when all that is known is the command's.
    during = receipt("", meets.started_at + timedelta(milliseconds=1))
    assert graded(project.case("tests.test_a::test_meets_too"), during, own) == Grading(
        Grade.PLAUSIBLE, f"a child process ran ({Path(PYTHON).name}), its bytes unseen"
    )


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_node_s_own_runner_is_understood(project: Commanded) -> None:
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").partition(".")[0]) < 20:
        pytest.skip("this node has no junit reporter")
    project.write(
        "a.test.js",
        """
        const {test, describe, it} = require('node:test');
        test('adds', () => {});
        describe('pays', () => {
          it('by card', () => {});
          it('by cash', () => { require('assert').strictEqual(1, 2); });
          it('later', {skip: 'not yet'}, () => {});
          it('known', {todo: true}, () => { throw new Error('x'); });
        });
        """,
    )
    run = "node --test --test-reporter=junit --test-reporter-destination={junit} a.test.js"

    end = project.run(run)

    told = {name.removeprefix("a.test.js::"): said for name, said in project.statuses().items()}
    assert told == {
        "adds": "passed",
        "pays::by card": "passed",
        "pays::by cash": "failed",
        "pays::later": "skipped",
        "pays::known": "skipped",
    }
    assert (end.complete, end.collected, end.exit_code) == (True, 5, 1)
    assert graded(next(c for c in project.cases if c.id.endswith("by card"))).grade == "plausible"


def test_the_line_gets_addresses_and_the_report_s_path_as_single_words(
    project: Commanded, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced = project.root / "it's a $HOME `temp`"
    spaced.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spaced))
    project.write("args.py", "import json, sys; print(json.dumps(sys.argv[1:]))")
    run = (
        f"{shlex.quote(PYTHON)} args.py {{junit}} \"{{junit}}\" '{{junit}}' x={{junit}}.y "
        f'"$({shlex.quote(PYTHON)} args.py {{junit}} "{{junit}}")" # it\'s {{junit}}\n'
        f"printf %s {shlex.quote(report('a'))} >{{junit}}; echo ${{services.chat.url}}/x"
    )

    end = project.run(run)

    words = (project.context().folder / "stdout.txt").read_text().splitlines()
    path, *same, inner = json.loads(words[0])
    assert path.startswith(f"{spaced}/loopctl-spool-")
    assert same == [path, path, f"x={path}.y"]
    assert json.loads(inner) == [path, path]
    assert words[1] == "http://127.0.0.1:1/x"
    assert end.complete, end


def test_the_command_finds_the_users_environment_and_the_contract_s(project: Commanded) -> None:
    project.environ |= {"MINE": "yes", "LOOPCTL_CONFIRM": "no", "PYTEST_CURRENT_TEST": "no"}

    project.run(left(report("a"), "env"))

    said = (project.context().folder / "stdout.txt").read_text().splitlines()
    assert {
        "MINE=yes",
        "BASE_URL=http://127.0.0.1:1",
        "LOOPCTL_URL_CHAT=http://127.0.0.1:1",
        "LOOPCTL_SUITE=ui",
        f"TRACEPARENT={traceparent(SEED)}",
    } <= set(said)
    assert not any(line.startswith(("LOOPCTL_CONFIRM", "PYTEST_CURRENT")) for line in said)


def test_the_trace_that_the_whole_command_shares_proves_no_case(project: Commanded) -> None:
    value = traceparent(SEED)
    case = f'<testcase name="a"><properties><property name="traceparent" value="{value}"/>'

    project.run(left(f"<testsuite>{case}</properties></testcase></testsuite>"))

    assert project.cases[0].phases[0].own_traces == ()


def test_a_folder_of_reports_is_read_like_one(project: Commanded) -> None:
    project.write("out/TEST-a.xml", report("a", name="A", tests=1))
    project.write("out/TEST-b.xml", report("b:failure", name="B", tests=1))
    project.write("out/testng-failed.xml", "<!DOCTYPE suite><suite/>")

    end = project.run("cp -r out {junit}; exit 1")

    assert project.statuses() == {"A::a": "passed", "B::b": "failed"}
    assert (end.complete, end.collected) == (True, 2)


@pytest.mark.parametrize(
    ("xml", "then", "said"),
    [
        (report("a"), "exit 3", "exited with 3 although no case failed"),
        (report("a"), "kill -9 $$", "was killed by SIGKILL although no case failed"),
        (report("a", errors=1), "", "failures or errors that it declares and no case shows: 1"),
        (report("a") + report("b"), "", "junk after document element"),
    ],
)
def test_a_run_that_shows_no_clean_end_is_not_complete(
    project: Commanded, xml: str, then: str, said: str
) -> None:
    end = project.run(left(xml, then))

    assert not end.complete
    assert said in end.detail
    assert end.usage_error is None
    assert end.collected == 1


@pytest.mark.parametrize(
    ("xml", "then", "said"),
    [
        ("<testsuites/>", "", "it exited with 0 and its report has no case in it"),
        ("<testsuites/>", "echo no config >&2; exit 3", "has no case in it: no config"),
        ('<testsuite errors="2"/>', "", "in it, but 2 failures or errors that it does not show"),
        (
            "<!DOCTYPE x><testsuite/>",
            "",
            "the report was not read: junit.xml: it has a DOCTYPE, which is refused",
        ),
        ("<html/>", "", "not read: junit.xml: it is no JUnit XML: its root is <html>"),
        ("", "", "not read: junit.xml: no element found at line 1"),
        ("<testsuites/>", "exit 1", "it exited with 1 and its report has no case in it"),
    ],
)
def test_a_report_in_which_no_case_can_be_read_is_no_result(
    project: Commanded, xml: str, then: str, said: str
) -> None:
    end = project.run(left(xml, then))

    assert said in (end.usage_error or "")
    assert (end.complete, end.collected, end.detail) == (False, None, "")
    assert project.cases == []


def test_a_failed_case_counts_though_the_command_exits_with_0(project: Commanded) -> None:
    end = project.run(left(report("a:failure", "b")))

    assert project.statuses() == {"a": "failed", "b": "passed"}
    assert (end.complete, end.exit_code) == (True, 0)


def test_what_a_truncated_report_lacks_is_lost(project: Commanded) -> None:
    whole = report("a", "b", "c", "d", tests=4)

    end = project.run(left(whole[: whole.index('name="c"')]))

    assert project.statuses() == {"a": "passed", "b": "passed", "(not in the report)": "lost"}
    assert project.cases[-1].message == "2 of 4 cases are not in the report"
    assert (end.complete, end.collected) == (False, 4)
    assert "2 of 4 cases are not in the report" in end.detail


@pytest.mark.parametrize(
    ("run", "code", "said"),
    [
        ("no-such-runner --out {junit}", 127, "no-such-runner"),
        ("echo {junit} >/dev/null; echo 'no tests in src' >&2; exit 2", 2, ": no tests in src"),
        (": {junit}", 0, "it exited with 0 and left no report where {junit} stands"),
        ("mkdir {junit}; echo empty; exit 1", 1, "it exited with 1 and left no report: empty"),
    ],
)
def test_a_command_that_left_no_report_could_not_be_run(
    project: Commanded, run: str, code: int, said: str
) -> None:
    end = project.run(run)

    assert said in (end.usage_error or "")
    assert (end.complete, end.collected, end.exit_code) == (False, None, code)
    assert project.cases == []


def test_at_the_deadline_the_whole_group_ends_and_what_was_reported_counts(
    project: Commanded,
) -> None:
    run = left(report("a", tests=1), "(trap '' INT TERM; echo $$ > pid; sleep 60) & wait")

    end = project.run(run, seconds=0.5)

    assert project.statuses() == {"a": "passed"}
    assert (end.complete, end.stopped) == (False, "suite timeout")
    assert end.duration_s < 15
    pid = int((project.root / "pid").read_text())
    assert identify(pid) is None


def test_a_deadline_without_a_report_is_no_usage_error(project: Commanded) -> None:
    end = project.run("sleep 60; : {junit}", seconds=0.3)

    assert (end.usage_error, end.stopped, end.complete) == (None, "suite timeout", False)


def test_an_interruption_ends_every_process_and_is_passed_on(project: Commanded) -> None:
    run = "echo $$ > pid; sleep 60; : {junit}"
    interrupted_once_begun(project.root / "pid", lambda stop: project.run(run, stop=stop))
    assert project.cases == []


def test_a_retry_runs_the_whole_command_and_hands_over_what_it_is_for(project: Commanded) -> None:
    run = left(report("a:failure", "b", "c:error"), "echo ran >> runs; exit 1")

    project.run(run)
    end = project.run(run, only=("c", "gone"))

    assert (project.root / "runs").read_text() == "ran\n" * 2
    assert project.statuses() == {"a": "failed", "c": "failed"}
    assert end.detail == (
        "1 to be run again, not in the report: gone; a command runs whole or not at all: it was"
        " run again for 2 of its cases, which count, and what failed besides"
    )
    assert not end.complete
    assert project.run(run, only=("c",)).complete


def test_no_secret_reaches_a_case_a_file_or_an_error(project: Commanded) -> None:
    xml = (
        f'<testsuite name="{SECRET}"><testcase name="{SECRET}" classname="&#115;{SECRET[1:]}">'
        f'<failure message="{SECRET}">{SECRET[:9]}<![CDATA[{SECRET[9:]}]]></failure>'
        f"<system-out>{SECRET}</system-out></testcase></testsuite>"
    )
    project.write("out.xml", xml)

    end = project.run(f"cp out.xml {{junit}}; echo {SECRET}; echo {SECRET} >&2; exit 1")
    refused = project.run(f"echo {SECRET} >&2; : {{junit}}; exit 1")

    assert end.complete
    project.run("cp out.xml {junit}; exit 1")
    assert SECRET not in repr((project.cases, end, refused))
    assert SECRET not in project.kept()
    assert SECRET[9:] not in project.kept()
    assert "[redacted:TOKEN]" in project.kept()
    assert "<testcase" in (project.context().folder / "junit.xml").read_text()
    modes = {path.stat().st_mode & 0o777 for path in project.context().folder.iterdir()}
    assert modes == {0o600}


def test_output_that_ends_like_a_secret_begins_is_kept(project: Commanded) -> None:
    end = project.run(f"printf {SECRET[:12]}; printf {SECRET[:12]} >&2; : {{junit}}")

    assert (project.context().folder / "stdout.txt").read_text() == SECRET[:12]
    assert (end.usage_error or "").endswith(SECRET[:12])


def test_what_cannot_be_read_of_a_measurement_is_noted(project: Commanded) -> None:
    case = '<testcase name="a"><properties><property name="loopctl.metric.x" value="many"/>'

    end = project.run(left(f"<testsuite>{case}</properties></testcase></testsuite>"))

    assert end.notes == ("measurements that cannot be taken: 1, as loopctl.metric.x='many' of a",)
    assert end.complete


@pytest.mark.slow
def test_a_gigabyte_of_output_fits_into_bounded_memory(tmp_path: Path) -> None:
    project = Commanded.at(tmp_path)
    probe = tmp_path / "probe.py"
    run = f"head -c 1000000000 /dev/zero | tr '\\0' x; {left(report('a'))}"
    rig = str(Path(__file__).parent)
    probe.write_text(
        f"""
import resource, sys
sys.path.insert(0, {rig!r})
from pathlib import Path
from command_suite_rig import Commanded
project = Commanded(Path({str(project.root)!r}))
end = project.run({run!r}, seconds=300.0, stop=__import__("loopctl.process").process.Stop(300))
assert end.complete and project.statuses() == {{"a": "passed"}}, end
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    )
    done = subprocess.run(
        [sys.executable, str(probe)], capture_output=True, text=True, timeout=400, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200, "MB"


def test_a_check_names_all_that_is_wrong(project: Commanded) -> None:
    stop = Stop(30)
    good = project.spec("npx x > {junit}; echo ${services.other.url}")
    nowhere = replace(good, cwd=project.root / "gone")
    unquoted = project.spec("echo 'oops")
    project.environ["PATH"] = "/bin:/usr/bin"

    assert project.suite.check(good, stop) == []
    [missing] = project.suite.check(nowhere, stop)
    assert "gone does not exist" in missing.message
    told = project.suite.check(unquoted, stop)
    assert [bool(problem.hint) for problem in told] == [True, True]
    assert "there is no {junit} in it" in told[0].message
    assert "nterminated quoted string" in told[1].message or "unexpected EOF" in told[1].message
    project.environ["PATH"] = str(project.root)
    [shell] = project.suite.check(good, stop)
    assert "no `sh`" in shell.message


def test_what_is_checked_is_not_run(project: Commanded) -> None:
    project.suite.check(project.spec("touch ran; $(touch ran) > {junit}"), Stop(30))

    assert not (project.root / "ran").exists()


def test_a_command_that_cannot_be_started_says_what_to_check(project: Commanded) -> None:
    nowhere = replace(project.spec(": {junit}"), cwd=project.root / "gone")

    with pytest.raises(SuiteError, match="cannot be started"):
        project.suite.run(nowhere, project.context(), project.cases.append, Stop(30))
    with pytest.raises(SuiteError, match="names a service that has no address"):
        project.run("echo ${services.other.url} {junit}")


def test_nothing_is_known_beforehand(project: Commanded) -> None:
    context = project.context()

    assert project.suite.collect(project.spec(": {junit}"), context, Stop(30)) is None  # type: ignore[func-returns-value]


def test_cases_start_with_their_command_and_last_no_longer(project: Commanded) -> None:
    before = datetime.now(UTC)

    project.run(left('<testsuite><testcase name="a" time="0.01"/><testcase name="b" time="9e5"/>'))

    assert [case.duration_s for case in project.cases] == [0.01, 0.0]
    assert all(before <= case.started_at <= datetime.now(UTC) for case in project.cases)
