"""A command that operates an environment and is stopped says what is done, and what is not."""

from __future__ import annotations

import contextlib
import fcntl
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_rig import PATIENT, WAITS, killed_at, let_go, resumed, waiting
from rig import Going, Project, Ran, until
from services import ASKS, suite, tiny_loop, tiny_service
from two_services import (
    both_unverified,
    both_up,
    has_heard,
    hold,
    must_start_again,
    services_of,
    shares,
    signalled,
    two_services,
)

SHORTER = """
import sys
from loopctl.api import operating
from loopctl.cli.entry import entry
operating.LIMIT_S = float(sys.argv[1])
sys.exit(entry(sys.argv[2:]))
"""


def gone_on_with(project: Project, stopped: Ran) -> Ran:
    """The command that the stopped one proposed."""
    _, _, command = stopped.err.strip().rpartition("go on: ")
    assert command.startswith("loopctl "), str(stopped)
    return project.loopctl(*shlex.split(command)[1:])


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
@pytest.mark.slow
def test_a_signal_ends_a_rollback_between_two_services(
    project: Project, number: signal.Signals
) -> None:
    good, bad = both_unverified(project)
    must_start_again(project, "web", good["web"])
    held = hold(project, "web", "starting")
    going = signalled(project, ["rollback", "both"], held, [number])
    let_go(project)
    stopped = going.end()
    assert stopped.code == 128 + number, str(stopped)
    assert stopped.out == ""
    assert stopped.err.splitlines() == [
        f"loopctl: stopped by {number.name}",
        f"    done: web from {bad['web']} 100 % to {good['web']} 100 %",
        f"    not done: store from {bad['store']} 100 % to {good['store']} 100 %",
        "    hint: go on: loopctl rollback both --env local",
    ]
    assert project.serving("both") == shares({"web": good["web"], "store": bad["store"]})
    again = gone_on_with(project, stopped)
    assert again.code == 0, str(again)
    assert project.serving("both") == shares(good)


@pytest.mark.slow
def test_a_rollback_that_fails_in_the_middle_says_what_it_had_done(project: Project) -> None:
    good, bad = both_unverified(project)
    must_start_again(project, "store", good["store"])
    (project.root / "break-store-starting").touch()
    failed = project.loopctl("rollback", "both")
    assert failed.code == 5, str(failed)
    assert f"{good['store']} exited with 3" in failed.err
    assert f"    done: web from {bad['web']} 100 %" in failed.err
    assert f"    not confirmed: store from {bad['store']} 100 %" in failed.err
    assert "hint: see its log: " in failed.err
    assert project.serving("both") == shares({"web": good["web"], "store": bad["store"]})
    (project.root / "break-store-starting").unlink()
    again = gone_on_with(project, failed)
    assert again.code == 0, str(again)
    assert project.serving("both") == shares(good)


def test_a_rollback_that_begins_nothing_says_so(project: Project) -> None:
    two_services(project)
    refused = project.loopctl("rollback", "both")
    assert refused.code == 5, str(refused)
    assert "is not deployed" in refused.err
    assert "    nothing was changed\n" in refused.err


def test_a_signal_ends_a_down_between_two_services(project: Project) -> None:
    both_up(project)
    going = signalled(project, ["down", "both"], hold(project, "web", "ending"), [signal.SIGTERM])
    let_go(project)
    stopped = going.end()
    assert stopped.code == 143, str(stopped)
    assert stopped.err.splitlines() == [
        "loopctl: stopped by SIGTERM",
        "    done: web",
        "    not done: store",
        "    hint: go on: loopctl down both --env local",
    ]
    assert services_of(project) == ["store"]
    again = gone_on_with(project, stopped)
    assert (again.code, again.out) == (0, "stopped store\n"), str(again)
    until(lambda: not services_of(project))


@pytest.mark.slow
def test_a_down_whose_last_service_is_in_hand_is_done_all_the_same(project: Project) -> None:
    both_up(project)
    going = signalled(project, ["down", "both"], hold(project, "store", "ending"), [signal.SIGTERM])
    let_go(project)
    ended = going.end()
    assert (ended.code, ended.out) == (0, "stopped web, store\n"), str(ended)
    assert "when SIGTERM came nothing else was left to do" in ended.err


@pytest.mark.slow
def test_a_hang_up_ends_no_down(project: Project) -> None:
    both_up(project)
    going = signalled(project, ["down", "both"], hold(project, "web", "ending"), [signal.SIGHUP])
    let_go(project)
    ended = going.end()
    assert (ended.code, ended.out) == (0, "stopped web, store\n"), str(ended)


@pytest.mark.slow
def test_a_second_signal_ends_a_down_at_once_and_it_can_be_gone_on_with(project: Project) -> None:
    both_up(project)
    going = signalled(project, ["down", "both"], hold(project, "web", "ending"), [signal.SIGTERM])
    going.signal(signal.SIGTERM)
    assert going.end().code == 143
    let_go(project)
    again = project.loopctl("down", "both")
    assert again.code == 0, str(again)
    assert "store" in again.out
    until(lambda: not services_of(project))


@pytest.mark.slow
def test_a_down_that_is_too_slow_is_not_done(project: Project) -> None:
    both_up(project)
    held = hold(project, "web", "ending")
    late = subprocess.run(
        [sys.executable, "-c", SHORTER, "3", "down", "both"],
        cwd=project.root,
        env=project.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert held.exists()
    assert late.returncode == 5, late.stderr
    assert late.stderr.splitlines() == [
        "loopctl: stopped by its deadline",
        "    not confirmed: web",
        "    not done: store",
        "    hint: go on: loopctl down both --env local",
    ]
    let_go(project)


@pytest.mark.slow
def test_a_down_that_is_robbed_of_its_lease_says_what_it_had_done(project: Project) -> None:
    both_up(project)
    going = signalled(project, ["down", "both"], hold(project, "web", "ending"), [])
    robbed = project.loopctl("unlock", "both", "--confirm", "local")
    assert robbed.code == 0, str(robbed)
    let_go(project)
    ended = going.end()
    assert ended.code == 5, str(ended)
    assert "the lease on store is not this run's any more" in ended.err
    assert "    done: web\n    not confirmed: store\n" in ended.err
    assert services_of(project) == ["store"]


@contextlib.contextmanager
def locked_leases(project: Project) -> Iterator[Path]:
    """Nobody else reads and writes the records of leases for as long."""
    (guard,) = project.runtime.rglob("leases/guard")
    with guard.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield guard


def waits_at(going: Going, guard: Path) -> bool:
    """Whether the command has come to where the leases are locked."""
    folder = Path(f"/proc/{going.process.pid}/fd")
    with contextlib.suppress(FileNotFoundError):
        return guard in [each.readlink() for each in folder.iterdir()]
    return False


@pytest.mark.slow
def test_a_signal_ends_an_unlock_between_two_leases(project: Project) -> None:
    tiny = {name: tiny_service(project, name) for name in ("store", "web")}
    project.loop("both", services=tiny, suites=[suite(project, WAITS, timeout=PATIENT)])
    project.commit()
    robbed = waiting(project, "both")
    with locked_leases(project) as guard:
        going = project.start("unlock", "both", "--confirm", "local")
        until(lambda: waits_at(going, guard))
        going.signal(signal.SIGTERM)
        has_heard(going, signal.SIGTERM)
    stopped = going.end()
    assert stopped.code == 143, str(stopped)
    assert stopped.err.splitlines() == [
        "loopctl: stopped by SIGTERM",
        "    done: store",
        "    not done: web",
        "    hint: go on: loopctl unlock both --env local --confirm local",
    ]
    again = gone_on_with(project, stopped)
    assert again.code == 0, str(again)
    assert "web: taken from" in again.out
    assert "store" not in again.out
    let_go(project)
    assert robbed.end().code == 3


@pytest.mark.slow
def test_a_signal_before_a_run_is_gone_on_with_has_its_own_code(project: Project) -> None:
    tiny_loop(project, ASKS)
    folder = killed_at(project, "web", "entered verify")
    with locked_leases(project) as guard:
        going = project.start("resume", folder.name, "-q")
        until(lambda: waits_at(going, guard))
        going.signal(signal.SIGTERM)
        stopped = going.end()
    assert stopped.code == 143, str(stopped)
    assert "stopped by SIGTERM before the run was gone on with" in stopped.err
    assert f"loopctl resume {folder.name}" in stopped.err
    assert resumed(project, folder).code == 0


@pytest.mark.slow
def test_a_run_whose_time_was_over_before_it_is_gone_on_with_is_unproven(project: Project) -> None:
    patient = suite(project, WAITS, timeout=PATIENT)
    limits = {"deadline": "4s"}
    project.loop("web", services={"web": tiny_service(project)}, suites=[patient], loop=limits)
    project.commit()
    folder = killed_at(project, "web", "entered settle")
    with locked_leases(project):
        stopped = project.loopctl("resume", folder.name, "-q")
    assert stopped.code == 3, str(stopped)
    assert "stopped by its deadline before the run was gone on with" in stopped.err
    assert f"loopctl resume {folder.name}" in stopped.err
