"""What a run may be gone on with: what it began with, where nobody else has been meanwhile."""

from __future__ import annotations

import json
import signal

import pytest
from kill_rig import (
    AT_ONCE,
    PATIENT,
    WAITS,
    journal,
    killed_at,
    let_go,
    numbers,
    of_kind,
    resumed,
    services_up,
    waiting,
)
from rig import Project, met_by_users, until
from services import ASKS, suite, tiny_loop, tiny_service


@pytest.mark.slow
def test_what_a_stranger_has_promoted_since_is_left_alone(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    assert project.run("web").code == 0
    folder = killed_at(project, "web", "entered promote")
    stranger = project.run("web")
    assert stranger.code == 0, str(stranger)
    made = numbers(project)
    serving = project.serving("web")

    ran = resumed(project, folder)
    assert ran.code == 3, str(ran)
    assert ran.result["stop_reason"] == "environment-moved"
    assert "traffic was" in ran.line("FAILED")
    assert numbers(project) == made
    assert project.serving("web") == serving
    assert met_by_users(stranger.stable_url) == stranger.service("web")["revision"]
    effects = [line["data"]["effect"] for line in of_kind(folder, "intent")]
    assert effects == ["build", "deploy", "suite"], "none after it was gone on with"


@pytest.mark.slow
def test_a_stranger_is_seen_also_where_the_run_had_only_to_put_back(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    assert project.run("web").code == 0
    tiny_loop(project, "def test_it():\n    assert ask() == ''\n", service=AT_ONCE)
    folder = killed_at(project, "web", "entered settle")
    tiny_loop(project, name="other", service=AT_ONCE)
    stranger = project.run("other")
    assert stranger.code == 0, str(stranger)
    tiny_loop(project, "def test_it():\n    assert ask() == ''\n", service=AT_ONCE)

    ran = resumed(project, folder)
    assert ran.code == 3, str(ran)
    assert ran.result["stop_reason"] == "environment-moved"
    assert met_by_users(stranger.stable_url) == stranger.service("web")["revision"]


@pytest.mark.slow
def test_what_was_promoted_after_an_interruption_is_not_promoted_over(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    let_go(project)
    assert project.run("web").code == 0
    (project.root / "let-go").unlink()
    (project.root / "waiting").unlink()
    going = waiting(project)
    going.signal(signal.SIGINT)
    interrupted = going.end()
    assert interrupted.code == 130, str(interrupted)
    let_go(project)
    stranger = project.run("web")
    assert stranger.code == 0, str(stranger)
    made = numbers(project)

    ran = resumed(project, interrupted.run)
    assert ran.code == 3, str(ran)
    assert ran.result["stop_reason"] == "environment-moved"
    assert ran.result["left"][0]["changed_by_run"] is False
    assert numbers(project) == made
    assert met_by_users(stranger.stable_url) == stranger.service("web")["revision"]


@pytest.mark.slow
def test_a_run_is_gone_on_with_by_a_later_version(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    folder = killed_at(project, "web", "entered verify")
    first, *rest = journal(folder)
    version, _, fingerprint = first["data"]["plan"].partition(" ")
    assert version == first["data"]["loopctl"]
    first["data"] |= {"loopctl": "0.0.1", "plan": f"0.0.1 another-{fingerprint}"}
    lines = [json.dumps(line) + "\n" for line in (first, *rest)]
    (folder / "journal.jsonl").write_text("".join(lines))

    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert [each["data"]["loopctl"] for each in of_kind(folder, "run.resumed")] == [version]
    assert len(of_kind(folder, "revision.deployed")) == 1
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


def test_a_loop_file_that_was_changed_is_named_and_nothing_is_done(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    folder = killed_at(project, "web", "entered verify")
    before = (folder / "journal.jsonl").read_bytes()
    file = project.root / "loops" / "web.yaml"
    file.write_text(file.read_text() + "description: another\n")
    ran = resumed(project, folder)
    assert ran.code == 2, str(ran)
    assert "loops/web.yaml: was changed since the run began" in ran.err
    assert "loopctl run web --env local" in ran.err
    assert (folder / "journal.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_variable_that_was_changed_is_told_without_its_value(project: Project) -> None:
    service = {**tiny_service(project), **AT_ONCE}
    service["run"]["env"] = {"GREETING": "${GREETING:-hello}"}
    project.loop("web", services={"web": service}, suites=[suite(project, ASKS)])
    project.commit()
    folder = killed_at(project, "web", "entered verify")
    before = (folder / "journal.jsonl").read_bytes()
    ran = project.loopctl("resume", folder.name, env={"GREETING": "good-bye"})
    assert ran.code == 2, str(ran)
    assert "have other values than when the run began: GREETING of web" in ran.err
    assert "good-bye" not in ran.err
    assert (folder / "journal.jsonl").read_bytes() == before
    assert resumed(project, folder).code == 0, "with the variables as they were"


@pytest.mark.slow
def test_the_journal_of_another_run_is_refused(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    mine, other = (killed_at(project, "web", "entered build") for _ in range(2))
    (mine / "journal.jsonl").write_bytes((other / "journal.jsonl").read_bytes())
    ran = resumed(project, mine)
    assert ran.code == 2, str(ran)
    assert f"its journal is that of run {other.name}" in ran.err
    assert len(journal(mine)) == len(journal(other))


@pytest.mark.slow
def test_a_run_that_has_ended_is_refused_with_what_to_do_instead(project: Project) -> None:
    tiny_loop(project, "def test_it():\n    assert ask() == ''\n", service=AT_ONCE)
    red = project.run("web")
    assert red.code == 1, str(red)
    again = resumed(project, red.run)
    assert again.code == 2, str(again)
    assert "the run has ended red" in again.err
    assert "loopctl run web --env local" in again.err


def test_a_run_that_goes_on_elsewhere_is_refused_and_its_process_named(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    refused = resumed(project, going.folder())
    let_go(project)
    assert refused.code == 6, str(refused)
    assert f"process {going.process.pid}" in refused.err, str(refused)
    ended = going.end()
    assert ended.code == 0, str(ended)
    assert of_kind(ended.run, "run.resumed") == []


def test_an_interrupted_run_begins_a_new_cycle(project: Project) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project)
    going.signal(signal.SIGINT)
    stopped = going.end()
    assert stopped.code == 130, str(stopped)
    let_go(project)

    ran = resumed(project, stopped.run)
    assert ran.code == 0, str(ran)
    assert [cycle["number"] for cycle in ran.result["cycles"]] == [1, 2]
    assert ran.result["cycles"][0]["stages"][-1]["name"] == "settle"
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]
    assert [line["data"]["after"] for line in of_kind(ran.run, "run.resumed")] == ["interrupted"]


@pytest.mark.slow
def test_an_environment_that_another_run_holds_now_is_waited_for_by_the_user(
    project: Project,
) -> None:
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    stopped = waiting(project)
    stopped.signal(signal.SIGINT)
    folder = stopped.end().run
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    (project.root / "waiting").unlink()
    holder = waiting(project)
    refused = resumed(project, folder)
    assert refused.code == 6, str(refused)
    assert holder.folder().name in refused.err
    assert {path: path.read_bytes() for path in before} == before, "it stays as it was"
    let_go(project)
    assert holder.end().code == 0


@pytest.mark.slow
def test_a_partial_run_stays_partial(project: Project) -> None:
    tiny_loop(project, service=AT_ONCE)
    first = project.run("web")
    assert first.code == 0, str(first)
    tiny_loop(project, WAITS, service=AT_ONCE, timeout=PATIENT)
    going = waiting(project, "web", "--from", "verify")
    going.signal(signal.SIGKILL)
    folder = going.end().run
    let_go(project)
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert "PARTIAL" in ran.first_line
    assert "promote" not in ran.stages()
    assert met_by_users(first.stable_url) == first.service("web")["revision"]
    until(lambda: len(services_up(project)) == 1)


@pytest.mark.parametrize(
    ("edited", "tested"),
    [
        pytest.param("", 1, id="nothing", marks=pytest.mark.slow),
        pytest.param("tests/.pytest.ini", 2, id="hidden settings", marks=pytest.mark.slow),
        pytest.param("conf/strict.ini", 2, id="named settings", marks=pytest.mark.slow),
        pytest.param("tests/test_smoke.py", 2, id="tests", marks=pytest.mark.slow),
    ],
)
def test_old_passes_do_not_stand_beside_new_tests_or_settings(
    project: Project, edited: str, tested: int
) -> None:
    for name in ("tests/.pytest.ini", "conf/strict.ini"):
        project.write(name, "[pytest]\n")
    tiny_loop(project, service=AT_ONCE, run="tests/test_smoke.py --config-file=conf/strict.ini")
    folder = killed_at(project, "web", "suite.finished smoke")
    if edited:
        file = project.root / edited
        file.write_text(file.read_text() + "# another\n")
    ran = resumed(project, folder)
    assert ran.code == 0, str(ran)
    assert len(of_kind(folder, "suite.started")) == tested
