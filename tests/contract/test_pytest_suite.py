"""What the pytest adapter makes of real pytest processes and a real HTTP server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_suite_rig import SECRET, Project
from suite_fixtures import a_project, a_service

from loopctl.evidence.grade import grade
from loopctl.model.evidence import CaseStatus

service = pytest.fixture(scope="module")(a_service)
project = pytest.fixture(a_project)


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
        "test_child": "unproven",
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
