"""`branch: true`: a remedy works in a clean work tree on a branch of its own, and nowhere else."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from kill_rig import Site, numbers, resumed, site_of
from rig import Project, Ran, until
from slow import but_slow
from word_loop import (
    REPAIRS,
    ended,
    green_before,
    remedy,
    run_rule,
    script,
    still_served,
    word_loop,
    worklog,
)

WHO = "-c user.name=r -c user.email=r@example.test"
ON_BRANCH = run_rule(branch=True)


def on_branch(project: Project, text: str = REPAIRS, **keys: object) -> None:
    script(project, f"set -e\n{text}")
    word_loop(project, {**ON_BRANCH, **keys})


def branches(project: Project) -> list[str]:
    listed = project.git("for-each-ref", "--format=%(refname:short)", "refs/heads/loopctl")
    return str(listed).split()


def at(project: Project, ref: str, path: str = "web/word.txt") -> str:
    return project.git("show", f"{ref}:{path}")


def untouched(project: Project, ran: Ran) -> None:
    """The user's own work tree is as it was, and no other is left."""
    assert (project.root / "web" / "word.txt").read_text() == "bad\n"
    assert not project.git("status", "--porcelain")
    assert project.git("worktree", "list").count("\n") <= 1, "no other is known"
    trees = ran.run / "trees"
    assert not trees.exists() or not list(trees.iterdir())


def test_what_it_repairs_there_is_built_from_there_and_the_branch_stays(project: Project) -> None:
    on_branch(project, f"pwd > /dev/stderr\n{REPAIRS}echo 'it is mended'\n")
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    untouched(project, ran)
    (branch,) = branches(project)
    assert branch == f"loopctl/{ran.run.name}/1"
    assert at(project, branch).strip() == "good"
    assert f"./fix.sh changed web/word.txt, on branch {branch}" in ran.line("TRIED")
    assert f"NEXT: git merge {branch}" in ran.out
    told = worklog(ran)
    assert "+good" in told
    assert "it is mended" in told
    assert (ran.run / "remedies" / "1" / "branch.diff").read_text().count("+good") == 1
    assert f"{ran.run}/trees/1" in (ran.run / "remedies" / "1" / "1.txt").read_text()
    assert ran.result["source"]["dirty"] is False
    project.git("merge", "-q", branch)
    assert (project.root / "web" / "word.txt").read_text() == "good\n"


@pytest.mark.slow
@pytest.mark.parametrize("switches", [False, True])
def test_a_remedy_may_commit_there_itself(project: Project, switches: bool) -> None:
    switch = "git switch -q -c elsewhere\n" if switches else ""
    on_branch(project, f"{switch}{REPAIRS}git {WHO} commit -q -a -m 'mend it'\n")
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    untouched(project, ran)
    assert at(project, f"loopctl/{ran.run.name}/1").strip() == "good"


@pytest.mark.slow
def test_uncommitted_changes_are_told_and_nothing_is_begun(served: tuple[Project, Ran]) -> None:
    project, before = served
    on_branch(project)
    project.write("notes.txt", "mine\n")
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "`branch: true` needs a clean work tree" in remedy(ran)["detail"]
    assert "notes.txt" in remedy(ran)["detail"]
    assert not branches(project)
    still_served(ran, before)


ESCAPES = {
    "the user's file": 'echo good > "$(git rev-parse --git-common-dir)/../web/word.txt"\n',
    "another branch": f"git update-ref refs/heads/main $(git {WHO} commit-tree -m x HEAD^{{tree}})"
    "\n",
    "the settings": "git config core.pager evil\n",
    "a test": "echo 'def test_it_says_good(): pass' > tests/test_smoke.py\n",
    "its own repository": "rm .git\n",
}


@pytest.mark.parametrize("how", but_slow(ESCAPES, ()))
def test_a_remedy_that_leaves_its_tree_is_refused(served: tuple[Project, Ran], how: str) -> None:
    project, before = served
    head = project.git("rev-parse", "HEAD").strip()
    on_branch(project, ESCAPES[how])
    ran = project.run("web")
    assert ended(ran) == (1, "remedy-refused", 1), str(ran)
    assert remedy(ran)["result"] == "refused"
    still_served(ran, before)
    assert not (ran.run / "trees" / "1").exists()
    assert project.git("worktree", "list").count("\n") <= 1
    if how == "another branch":
        assert "refs/heads/main" in remedy(ran)["detail"]
        project.git("update-ref", "refs/heads/main", head)
    if how == "the settings":
        project.git("config", "--unset", "core.pager")


@pytest.mark.slow
def test_a_second_remedy_goes_on_from_where_the_first_has_left_it(project: Project) -> None:
    halves = "if [ -f web/half ]; then echo good > web/word.txt; else touch web/half; fi\n"
    on_branch(project, halves, limit=2)
    ran = project.run("web")
    assert ended(ran) == (0, "green", 3), str(ran)
    assert branches(project) == [f"loopctl/{ran.run.name}/{n}" for n in (1, 2)]
    untouched(project, ran)


def mends_on_a_branch(project: Project) -> None:
    green_before(project)
    on_branch(project)


mended = site_of(mends_on_a_branch)
KILLED = ("intent remedy", "remedy.ended", "result remedy", "remedy.decided web", "entered build")


@pytest.mark.parametrize("event", but_slow(KILLED, ()))
def test_killed_at_any_moment_it_is_gone_on_with(mended: Site, event: str) -> None:
    assert (mended.undisturbed.code, mended.undisturbed.cycles) == (0, 2), mended.told
    project = mended.project
    cycle = 2 if event == "entered build" else 1
    before = numbers(project)
    folder = mended.killed(event, cycle=cycle)
    assert not project.git("status", "--porcelain")
    ran = mended.goes_on_as_if_nothing_had_been(folder, before)
    untouched(project, ran)
    assert at(project, f"loopctl/{ran.run.name}/1").strip() == "good"


@pytest.mark.slow
def test_killed_while_the_command_works_what_it_did_so_far_is_looked_at(project: Project) -> None:
    green_before(project)
    on_branch(project, f"{REPAIRS}touch $LOOPCTL_BUNDLE/there\nsleep 60\n")
    going = project.start("run", "web", "-q")
    folder = going.folder()
    until((folder / "bundle" / "1" / "there").exists)
    going.signal(signal.SIGKILL)
    going.end()
    ran = resumed(project, folder)
    assert ended(ran) == (0, "green", 2), str(ran)
    untouched(project, ran)


@pytest.mark.slow
def test_interrupted_it_leaves_no_work_tree_and_is_run_again(project: Project) -> None:
    green_before(project)
    on_branch(project, f"touch $LOOPCTL_BUNDLE/there\n[ -f ../../let-go ] || sleep 60\n{REPAIRS}")
    going = project.start("run", "web", "-q")
    folder = going.folder()
    until((folder / "bundle" / "1" / "there").exists)
    going.signal(signal.SIGINT)
    assert going.end().code == 130
    assert not (folder / "trees" / "1").exists()
    assert not project.git("status", "--porcelain")
    (folder / "let-go").touch()
    ran = resumed(project, folder)
    assert ended(ran) == (0, "green", 2), str(ran)
    untouched(project, ran)


@pytest.mark.slow
def test_without_git_it_is_told(project: Project, tmp_path: Path) -> None:
    on_branch(project)
    (project.root / ".git").rename(tmp_path / "away.git")
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "needs a git repository" in remedy(ran)["detail"]
