"""What a person is told to type can be typed as it stands."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import worklogs
from loop_rig import a_plan, a_service, a_suite

from loopctl.journal.commands import Commands, runs
from loopctl.model.plan import Environment, PlatformKind

PLAIN = Commands(Path("loops/shop.yaml"), Path("/srv/shop"), "local")
PROTECTED = replace(PLAIN, environment="prod", protected=True)


def all_of(commands: Commands) -> list[str]:
    run_id = worklogs.RUN_ID
    of_loop = [commands.run(), commands.plan(), commands.rollback(), commands.down()]
    of_loop += [commands.unlock()]
    of_run = [commands.resume(run_id), commands.watch(run_id), commands.report(run_id)]
    return [*of_loop, *of_run, commands.logs(run_id, "chat")]


def test_where_nothing_is_special_nothing_but_the_loop_and_the_environment_is_named() -> None:
    assert all_of(PLAIN) == [
        "loopctl run shop --env local",
        "loopctl plan shop --env local",
        "loopctl rollback shop --env local",
        "loopctl down shop --env local",
        "loopctl unlock shop --env local --confirm local",
        f"loopctl resume {worklogs.RUN_ID}",
        f"loopctl watch {worklogs.RUN_ID}",
        f"loopctl report {worklogs.RUN_ID}",
        f"loopctl logs {worklogs.RUN_ID} chat",
    ]


def test_what_changes_a_protected_environment_names_it_as_confirmation() -> None:
    confirmed = [command.endswith(" --confirm prod") for command in all_of(PROTECTED)]
    assert confirmed == [True, False, True, True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("protected", "said"), [(True, "--env local --confirm local --create"), (False, "--env local")]
)
def test_only_a_protected_environment_is_told_to_create_what_it_lacks(
    protected: bool, said: str
) -> None:
    commands = replace(PLAIN, create=True, protected=protected)
    assert commands.run() == f"loopctl run shop {said}"
    assert "--create" not in commands.rollback()


@pytest.mark.parametrize("runs_dir", [None, Path(".loopctl"), Path("/srv/shop/.loopctl")])
def test_the_runs_folder_of_the_project_needs_no_name(runs_dir: Path | None) -> None:
    assert all_of(replace(PLAIN, runs_dir=runs_dir)) == all_of(PLAIN)


@pytest.mark.parametrize("runs_dir", ["/var/my runs", "/elsewhere/.loopctl", "/x/$(reboot)"])
def test_any_other_runs_folder_is_named_as_one_word(runs_dir: str) -> None:
    for command in all_of(replace(PLAIN, runs_dir=Path(runs_dir))):
        assert shlex.split(command)[:3] == ["loopctl", "--runs-dir", runs_dir]


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("/srv/shop/loops/shop.yaml", "shop"),
        ("loops/shop.yaml", "shop"),
        ("/srv/shop/loops/a b.yaml", "'a b'"),
        ("/srv/shop/loops/shop.yml", "/srv/shop/loops/shop.yml"),
        ("/srv/shop/shop.yaml", "/srv/shop/shop.yaml"),
        ("/srv/shop/sub/loops/shop.yaml", "/srv/shop/sub/loops/shop.yaml"),
        ("/srv/else where/loops/shop.yaml", "'/srv/else where/loops/shop.yaml'"),
    ],
)
def test_a_loop_that_its_name_does_not_find_from_the_project_is_named_by_its_file(
    file: str, word: str
) -> None:
    assert replace(PLAIN, loop_file=Path(file)).run() == f"loopctl run {word} --env local"


@pytest.mark.parametrize("odd", ["a b", "x;reboot", "$(reboot)", "`id`", "it's", "-\x1b[31m\u202e"])
def test_odd_names_stay_one_word_and_move_no_cursor(odd: str) -> None:
    commands = replace(PROTECTED, environment=odd, loop_file=Path("loops", f"{odd}.yaml"))
    plain = len(shlex.split(PROTECTED.run()))
    for command in (commands.run(), commands.rollback(), commands.down()):
        assert len(shlex.split(command)) == plain
        assert command.isprintable()
    assert len(shlex.split(commands.logs(odd, odd))) == 4


def test_a_run_is_recognised_whichever_runs_folder_it_names() -> None:
    elsewhere = replace(PROTECTED, runs_dir=Path("/var/my runs"))
    assert PROTECTED.is_run(elsewhere.run())
    assert not PROTECTED.is_run(elsewhere.rollback())
    assert not PROTECTED.is_run("./fix.sh run shop")


def test_a_run_and_the_plan_it_was_made_of_have_the_same_commands() -> None:
    root = Path("/srv/shop")
    prod = Environment("prod", PlatformKind.LOCAL, protected=True)
    plan = a_plan([a_service()], [a_suite()], root, environment=prod)
    run = replace(
        worklogs.RUN,
        loop_file=str(plan.path),
        root=str(root),
        environment="prod",
        protected=True,
        options={"create": True},
    )
    runs_dir = Path("/var/runs")
    assert Commands.of_run(run, runs_dir) == Commands.of_plan(plan, runs_dir, create=True)


def test_a_list_of_runs_is_asked_where_they_are() -> None:
    assert runs(Path("/srv/shop/.loopctl")) == "loopctl runs"
    assert runs(Path("/var/my runs")) == "loopctl --runs-dir '/var/my runs' runs"
