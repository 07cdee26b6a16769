"""The pytest adapter against real pytest processes and a real HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loopctl.errors import Stopped
from loopctl.evidence.grade import grade
from loopctl.model.evidence import Case, CaseStatus, Grade, SuiteEnd
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteContext, SuiteError
from loopctl.process import Stop, identify
from loopctl.redact import Redactor
from loopctl.suites.pytest_suite import PytestSuite

SECRET = "s3cr3t-of-the-service-77"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status = 503 if self.path.startswith("/down") else 200
        body = b'{"message": {"text": "hello"}}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A real service; its URL."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


@dataclass
class Project:
    """A folder of generated tests, and what came of running them."""

    root: Path
    url: str
    cases: list[Case] = field(default_factory=list)
    # Plugins that happen to be installed here would cost each of these runs a second.
    environ: dict[str, str] = field(
        default_factory=lambda: {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    redactor: Redactor = field(default_factory=lambda: Redactor({"TOKEN": SECRET}))

    @property
    def suite(self) -> PytestSuite:
        return PytestSuite(self.redactor, self.environ)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    @property
    def spec(self) -> SuiteSpec:
        return SuiteSpec(
            id="p1",
            title="p1",
            priority=Priority.P1,
            phase=SuitePhase.VERIFY,
            kind=SuiteKind.PYTEST,
            run="-p no:cacheprovider tests",
            cwd=self.root,
            python=sys.executable,
            env={"BASE_URL": "${services.chat.url}"},
            evidence=EvidenceSpec(Grade.OBSERVED, ("chat",)),
        )

    @property
    def context(self) -> SuiteContext:
        return SuiteContext(
            endpoints={"chat": Endpoint.of(self.url)},
            variables={"LOOPCTL_RUN_ID": "20260101-000000-x-0000", "LOOPCTL_ENV": "local"},
            folder=self.root.parent / "kept",
            trace_seed="ab" * 16,
            health_paths=("/health",),
        )

    def run(self, spec: SuiteSpec | None = None, stop: Stop | None = None) -> SuiteEnd:
        self.cases.clear()
        limit = stop or Stop(60)
        return self.suite.run(spec or self.spec, self.context, self.cases.append, limit)

    def case(self, name: str) -> Case:
        return next(case for case in self.cases if case.id.endswith(f"::{name}"))

    def statuses(self) -> dict[str, CaseStatus]:
        return {case.id.rpartition("::")[2]: case.status for case in self.cases}

    def kept(self) -> str:
        folder = self.context.folder
        return "".join(path.read_text(errors="replace") for path in sorted(folder.iterdir()))


@pytest.fixture
def project(tmp_path: Path, server: str) -> Project:
    """An empty project beside the real service."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    return Project(root.resolve(), server)


MANY_ENDINGS = """
    import json, os, subprocess, urllib.request
    import pytest

    URL = os.environ["BASE_URL"]

    def get(path):
        with urllib.request.urlopen(URL + path, timeout=5) as answer:
            return json.load(answer)

    @pytest.fixture
    def refused():
        return urllib.request.urlopen("http://127.0.0.1:1/", timeout=1)

    @pytest.fixture
    def misspelled():
        return get("/").mesage

    @pytest.fixture
    def untidy():
        yield
        undefined_in_teardown

    @pytest.fixture(scope="module")
    def account():
        assert get("/login")["token"], "never reached"

    def test_meets():
        assert get("/message")["message"]["text"] == "hello"

    def test_wrong_answer():
        assert get("/message")["message"]["text"] == "bye"

    def test_changed_wrapper():
        get("/message")["data"]

    def test_misspelled_name():
        get("/message")
        jsn

    def test_no_fixture(nonexistent): ...
    def test_service_refuses_the_fixture(refused): ...
    def test_fixture_is_wrong(misspelled): ...
    def test_teardown_is_wrong(untidy): ...
    def test_account_first(account): ...
    def test_account_again(account): ...

    @pytest.mark.skip(reason="not today")
    def test_skipped(): ...

    @pytest.mark.xfail(reason="known")
    def test_xfails(): assert False

    @pytest.mark.xfail(reason="known")
    def test_xpasses(): ...

    @pytest.mark.xfail(reason="known", strict=True)
    def test_xpasses_strictly(): ...
"""


def test_every_ending_has_its_status_and_a_reason(project: Project) -> None:
    project.write("tests/test_many.py", MANY_ENDINGS)
    project.write("tests/test_unimportable.py", "import no_such_module_anywhere\n")

    end = project.run()

    assert end.complete, end
    assert end.usage_error is None
    assert end.collected == 14
    assert len({case.id for case in project.cases}) == len(project.cases) == 15
    assert {name: str(status) for name, status in project.statuses().items()} == {
        "tests/test_unimportable.py": "broken",
        "test_meets": "passed",
        "test_wrong_answer": "failed",
        "test_changed_wrapper": "failed",
        "test_misspelled_name": "broken",
        "test_no_fixture": "broken",
        "test_service_refuses_the_fixture": "failed",
        "test_fixture_is_wrong": "broken",
        "test_teardown_is_wrong": "broken",
        "test_account_first": "failed",
        "test_account_again": "failed",
        "test_skipped": "skipped",
        "test_xfails": "skipped",
        "test_xpasses": "passed",
        "test_xpasses_strictly": "failed",
    }
    assert all(case.message for case in project.cases if case.status is not CaseStatus.PASSED)
    assert "fixture 'nonexistent' not found" in (project.case("test_no_fixture").message or "")


MANY_GRADES = """
    import os, subprocess, sys, urllib.request
    from unittest import mock
    import pytest

    URL = os.environ["LOOPCTL_URL_CHAT"]

    def get(path):
        with urllib.request.urlopen(URL + path, timeout=5) as answer:
            return answer.read()

    @pytest.fixture
    def logged_in():
        return get("/login")

    def test_meets(): get("/a")
    def test_meets_again(): get("/b")
    def test_in_setup_only(logged_in): assert logged_in
    def test_nothing(): assert 1 + 1 == 2
    def test_health(): get("/health")
    def test_swallows_503():
        with pytest.raises(OSError):
            get("/down")
    def test_mocked():
        with mock.patch("urllib.request.urlopen"):
            get("/a")
    def test_refused():
        with pytest.raises(OSError):
            urllib.request.urlopen("http://127.0.0.1:1/", timeout=1)
    def test_child():
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
"""


def test_what_a_real_process_did_is_graded_by_the_contract(project: Project) -> None:
    project.write("tests/test_grades.py", MANY_GRADES)

    project.run()

    graded = {
        case.id.rpartition("::")[2]: grade(
            case,
            receipts=[],
            revisions={"chat": "chat-00001-abc"},
            loopback_is_target=True,
            health_paths=project.context.health_paths,
            receipts_available=False,
        )
        for case in project.cases
        if case.status is CaseStatus.PASSED
    }
    assert {name: str(found.grade) for name, found in graded.items()} == {
        "test_meets": "observed",
        "test_meets_again": "observed",
        "test_in_setup_only": "unproven",
        "test_nothing": "unproven",
        "test_health": "suspect",
        "test_swallows_503": "contradicted",
        "test_mocked": "contradicted",
        "test_refused": "unproven",
        "test_child": "plausible",
    }, graded
    assert graded["test_in_setup_only"].reason.endswith("in set-up only")
    calls = [project.case(name).call for name in ("test_meets", "test_meets_again")]
    assert len({trace for call in calls if call for trace in call.traces}) == 2


def test_a_suite_is_given_the_variables_of_the_contract_and_none_of_loopctls_own(
    project: Project,
) -> None:
    project.environ |= {"LOOPCTL_REMEDIATE": "auto", "PYTEST_XDIST_WORKER": "gw7", "MINE": "kept"}
    project.write(
        "tests/test_env.py",
        """
        import json, os
        def test_env(): print("ENV=" + json.dumps(dict(os.environ)))
        """,
    )

    project.run(replace(project.spec, env={"WHERE": "${services.chat.ws_url}/ws", "MINE2": "x"}))

    line = next(x for x in project.cases[0].output.splitlines() if x.startswith("ENV="))
    env = json.loads(line[4:])
    assert env["LOOPCTL_URL_CHAT"] == project.url
    assert env["LOOPCTL_WS_URL_CHAT"] == project.url.replace("http", "ws")
    assert env["WHERE"] == project.url.replace("http", "ws") + "/ws"
    assert (env["LOOPCTL_RUN_ID"], env["LOOPCTL_ENV"]) == ("20260101-000000-x-0000", "local")
    assert env["LOOPCTL_SUITE"] == "p1"
    assert env["TRACEPARENT"].startswith("00-")
    assert (env["MINE"], env["MINE2"]) == ("kept", "x")
    assert not {"LOOPCTL_REMEDIATE", "PYTEST_XDIST_WORKER"} & set(env)


def test_a_hang_does_not_hide_the_tests_after_it(project: Project) -> None:
    project.write(
        "tests/test_hang.py",
        """
        import time
        def test_before(): ...
        def test_hangs(): time.sleep(60)
        def test_after(): ...
        def test_after_too(): assert False
        """,
    )

    end = project.run(replace(project.spec, test_timeout_s=0.6))

    assert [(c.id.rpartition("::")[2], str(c.status)) for c in project.cases] == [
        ("test_before", "passed"),
        ("test_hangs", "timeout"),
        ("test_after", "passed"),
        ("test_after_too", "failed"),
    ]
    assert project.case("test_hangs").message == "still running after 0.6 s, its limit"
    assert (end.complete, end.collected, end.stopped) == (True, 4, None)
    assert "2 times" in end.detail


def test_what_a_test_does_after_it_was_interrupted_is_not_judged(project: Project) -> None:
    project.write(
        "tests/test_stubborn.py",
        """
        import signal, time
        def test_stubborn():
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                raise AssertionError("mistaken for a failure")
        def test_after(): ...
        """,
    )

    project.run(replace(project.spec, test_timeout_s=0.6))

    assert project.statuses()["test_stubborn"] is CaseStatus.TIMEOUT
    assert project.statuses()["test_after"] is CaseStatus.PASSED
    assert len(project.cases) == 2


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_test_that_kills_its_process_is_lost_and_the_others_still_run(
    project: Project, death: str, said: str
) -> None:
    project.write(
        "tests/test_death.py",
        f"""
        import os, signal
        def test_before(): ...
        def test_dies(): {death}
        def test_dies_not(): ...
        """,
    )

    end = project.run()

    statuses = {name: str(status) for name, status in project.statuses().items()}
    assert statuses == {"test_before": "passed", "test_dies": "lost", "test_dies_not": "passed"}
    assert said in (project.case("test_dies").message or "")
    assert end.complete


def test_a_process_that_dies_last_is_not_complete_though_it_exits_with_0(project: Project) -> None:
    project.write("tests/test_death.py", "import os\ndef test_dies(): os._exit(0)\n")

    end = project.run()

    assert (end.exit_code, end.complete) == (0, False)
    assert end.detail == "pytest ended with exit code 0"


def test_a_suite_that_runs_out_of_time_says_who_ran_and_who_never_did(project: Project) -> None:
    project.write(
        "tests/test_slow.py",
        """
        import time
        def test_slow(): time.sleep(60)
        def test_never(): ...
        """,
    )

    end = project.run(replace(project.spec, suite_timeout_s=1.2))

    assert project.statuses() == {"test_slow": CaseStatus.TIMEOUT}
    assert (end.complete, end.stopped) == (False, "suite timeout")
    assert "1 collected but never started: tests/test_slow.py::test_never" in end.detail


def test_an_interruption_ends_every_process_and_is_passed_on(project: Project) -> None:
    project.write(
        "tests/test_slow.py",
        """
        import os, time
        def test_slow():
            open("pid", "w").write(str(os.getpid()))
            time.sleep(60)
        """,
    )
    stop = Stop(60)
    pid = project.root / "pid"

    def interrupt() -> None:
        _until(lambda: pid.exists() and bool(pid.read_text()))
        stop.stop("SIGINT")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Stopped, match="SIGINT"):
        project.run(stop=stop)
    thread.join()

    assert identify(int(pid.read_text())) is None
    assert project.cases == []


def test_a_case_is_handed_over_while_the_suite_still_runs(project: Project) -> None:
    go = project.root / "go"
    project.write(
        "tests/test_wait.py",
        """
        import os, time
        def test_quick(): ...
        def test_waits():
            deadline = time.monotonic() + 20
            while not os.path.exists("go") and time.monotonic() < deadline:
                time.sleep(0.01)
            assert os.path.exists("go")
        """,
    )

    def on(case: Case) -> None:
        project.cases.append(case)
        go.touch()

    end = project.suite.run(project.spec, project.context, on, Stop(60))

    assert [case.status for case in project.cases] == [CaseStatus.PASSED, CaseStatus.PASSED]
    assert end.duration_s < 15


def test_a_daemon_that_a_test_leaves_behind_is_dead_afterwards(project: Project) -> None:
    project.write(
        "tests/test_daemon.py",
        """
        import subprocess, sys
        def test_leaves_one():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            open("pid", "w").write(str(child.pid))
        """,
    )

    project.run()

    assert project.case("test_leaves_one").status is CaseStatus.PASSED
    pid = int((project.root / "pid").read_text())
    _until(lambda: identify(pid) is None)


def test_a_secret_is_in_no_file_and_in_no_case(project: Project) -> None:
    project.write(
        "tests/test_secret.py",
        f"""
        import sys, pytest
        SECRET = "{SECRET}"
        @pytest.mark.parametrize("token", [SECRET, SECRET + "-2"], ids=[SECRET, SECRET + "x"])
        def test_prints(token):
            print("out", token)
            print("err", token, file=sys.stderr)
            sys.__stdout__.write("raw " + token)
            assert token == "wrong"
        """,
    )

    project.run(replace(project.spec, run="-p no:cacheprovider -s tests", env={"T": SECRET}))

    assert len(project.cases) == 2
    assert len({case.id for case in project.cases}) == 2
    assert SECRET not in project.kept()
    assert SECRET not in repr(project.cases)
    assert "[redacted:TOKEN]" in project.kept()
    assert {path.name for path in project.context.folder.iterdir()} == {
        "events.jsonl",
        "stderr.txt",
        "stdout.txt",
    }
    assert {path.stat().st_mode & 0o777 for path in project.context.folder.iterdir()} == {0o600}
    assert project.context.folder.stat().st_mode & 0o777 == 0o700


def test_the_spool_is_gone_afterwards(project: Project, tmp_path: Path) -> None:
    project.write(
        "tests/test_spool.py",
        """
        import os
        def test_spool(): print(f"SPOOL={os.environ['LOOPCTL_SPOOL']}")
        """,
    )

    project.run()

    spool = Path(project.cases[0].output.partition("SPOOL=")[2].splitlines()[0])
    assert not spool.parent.exists()
    assert project.context.folder not in spool.parents


def test_hostile_ids_and_output_are_carried_without_harm(project: Project) -> None:
    project.write(
        "tests/conftest.py",
        r"""
        def pytest_collection_modifyitems(items):
            items[0]._nodeid = "tests/x.py::test_\x1b[31mred\x07\udcff\n| md | `x`"
        """,
    )
    project.write(
        "tests/test_hostile.py",
        r"""
        import sys
        def test_it():
            sys.stdout.buffer.write(bytes(range(256)) * 40)
            raise ValueError("\x1b[2J" + "\udcff" + "x" * 100_000)
        """,
    )

    end = project.run()

    assert end.complete
    assert len(project.cases) == 1
    json.dumps(project.cases[0].id).encode("utf-8")
    project.cases[0].id.encode("utf-8")
    assert len(project.cases[0].message or "") < 1000


def test_workers_of_xdist_are_followed_and_a_dead_one_costs_its_test_only(
    project: Project,
) -> None:
    project.write(
        "tests/test_many.py",
        """
        import os, pytest
        @pytest.mark.parametrize("n", range(20))
        def test_n(n):
            if n == 7:
                os._exit(3)
        """,
    )

    end = project.run(replace(project.spec, run="-p no:cacheprovider -p xdist -n 2 tests"))

    lost = [case.id for case in project.cases if case.status is CaseStatus.LOST]
    assert lost == ["tests/test_many.py::test_n[7]"]
    assert len([c for c in project.cases if c.status is CaseStatus.PASSED]) == 19
    assert (end.complete, end.collected) == (True, 20)


def test_three_hundred_tests_are_all_handed_over_once(project: Project) -> None:
    project.write(
        "tests/test_many.py",
        """
        import pytest
        @pytest.mark.parametrize("n", range(300))
        def test_n(n): ...
        """,
    )

    end = project.run()

    assert (end.complete, end.collected) == (True, 300)
    assert len({case.id for case in project.cases}) == len(project.cases) == 300


def test_arguments_that_pytest_refuses_are_told_in_its_words(project: Project) -> None:
    missing = project.run(replace(project.spec, run="no/such/folder"))
    unknown = project.run(replace(project.spec, run="--no-such-option"))

    assert "no/such/folder" in (missing.usage_error or "")
    assert "--no-such-option" in project.kept()
    assert unknown.usage_error
    assert not missing.complete
    assert not unknown.complete


def test_nothing_collected_is_no_pass(project: Project) -> None:
    project.write("tests/test_none.py", "def test_deselected(): ...\n")

    end = project.run(replace(project.spec, run="-p no:cacheprovider tests -k nothing_like_it"))

    assert (end.collected, end.deselected, end.exit_code) == (0, 1, 5)
    assert project.cases == []


def test_tests_left_out_by_maxfail_are_named(project: Project) -> None:
    project.write("tests/test_x.py", "def test_a(): assert 0\ndef test_b(): ...\n")

    end = project.run(replace(project.spec, run="-p no:cacheprovider -x tests"))

    assert not end.complete
    assert end.detail == "1 collected but never started: tests/test_x.py::test_b"


def test_an_unloadable_conftest_is_a_broken_case(project: Project) -> None:
    project.write("conftest.py", "import no_such_module_anywhere\n")
    project.write("tests/test_x.py", "def test_a(): ...\n")

    end = project.run()

    assert [case.status for case in project.cases] == [CaseStatus.BROKEN]
    assert "no_such_module_anywhere" in (project.cases[0].message or "")
    assert not end.complete


def test_collection_names_the_tests_before_any_service_is_up(project: Project) -> None:
    project.write(
        "tests/test_x.py",
        """
        import os
        assert os.environ["BASE_URL"] == "http://chat.invalid"
        def test_a(): ...
        def test_b(): ...
        """,
    )
    project.write("tests/test_bad.py", "def test_(:\n")
    context = replace(project.context, endpoints={})

    found = project.suite.collect(project.spec, context, Stop(60))

    assert found.ids == ("tests/test_x.py::test_a", "tests/test_x.py::test_b")
    assert [(case.id, case.status) for case in found.errors] == [
        ("tests/test_bad.py", CaseStatus.BROKEN)
    ]
    assert not project.context.folder.exists()


def test_collection_that_cannot_be_done_says_how_to_see_it(project: Project) -> None:
    with pytest.raises(SuiteError, match=r"(?s)no/such.*--collect-only"):
        project.suite.collect(replace(project.spec, run="no/such"), project.context, Stop(60))


def test_a_missing_interpreter_comes_with_the_command_that_makes_it(project: Project) -> None:
    (problem,) = project.suite.check(replace(project.spec, python=".venv/bin/python"), Stop(60))

    assert problem.message == "the interpreter .venv/bin/python does not exist"
    assert problem.where == "suite p1"
    assert "python3 -m venv .venv && .venv/bin/python -m pip install" in (problem.hint or "")


def test_an_interpreter_without_pytest_comes_with_the_command_that_installs_it(
    project: Project,
) -> None:
    made = [sys.executable, "-m", "venv", "--without-pip", str(project.root / ".venv")]
    subprocess.run(made, check=True)
    spec = replace(project.spec, python=".venv/bin/python")
    suite = project.suite

    (problem,) = suite.check(spec, Stop(60))
    end = suite.run(spec, project.context, project.cases.append, Stop(60))

    assert problem.message == ".venv/bin/python has no pytest"
    assert '.venv/bin/python -m pip install "pytest>=7"' in (problem.hint or "")
    assert "No module named pytest" in (end.usage_error or "")


def test_what_is_no_python_is_told(project: Project) -> None:
    project.write("python", "#!/bin/sh\necho dead >&2; exit 4\n")
    (project.root / "python").chmod(0o755)

    (problem,) = project.suite.check(replace(project.spec, python="./python"), Stop(60))

    assert problem.message.endswith("is no working Python (exit code 4): dead")


def test_a_good_interpreter_has_no_problems_and_a_missing_folder_has_one(project: Project) -> None:
    suite = project.suite
    assert suite.check(project.spec, Stop(60)) == []
    (problem,) = suite.check(replace(project.spec, cwd=project.root / "none"), Stop(60))
    assert "does not exist" in problem.message


def test_a_service_without_an_address_is_an_error_that_names_it(project: Project) -> None:
    spec = replace(project.spec, run="tests ${services.mail.url}")
    with pytest.raises(SuiteError, match=r"services\.mail"):
        project.run(spec)


def _until(holds: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "never came true"
        threading.Event().wait(0.01)
