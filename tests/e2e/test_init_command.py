"""`loopctl init`, as somebody meets it who has a repository and ten minutes."""

from __future__ import annotations

import json
import shutil

import pytest
import rig
import yaml
from rig import Project


@pytest.fixture
def chat(project: Project) -> Project:
    """The example's files at the top of a repository, without any loop."""
    shutil.copytree(
        rig.EXAMPLE,
        project.root,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"),
    )
    project.commit()
    return project


@pytest.mark.slow
def test_a_repository_comes_to_green_with_nothing_edited(chat: Project) -> None:
    written = chat.loopctl("init", "--name", "first")
    assert written.code == 0, str(written)
    loop = chat.root / "loops" / "first.yaml"
    chat.loop_file("first", loop.read_text())
    assert chat.loopctl("validate").code == 0
    assert chat.loopctl("doctor", "first").code == 0
    plan = chat.loopctl("plan", "first", "--json").document()
    assert [suite["id"] for suite in plan["suites"]] == ["tests-p0", "tests-p1", "tests-p2"]
    green = chat.run("first")
    assert green.code == 0, str(green)
    assert {suite["outcome"] for suite in green.cycle["suites"]} == {"passed"}


def test_a_loop_file_is_replaced_only_when_that_is_asked_for(chat: Project) -> None:
    shown = chat.loopctl("init", "--name", "first", "--stdout")
    assert shown.code == 0, str(shown)
    loop = chat.root / "loops" / "first.yaml"
    assert not loop.exists()
    loop.write_text("mine\n")
    refused = chat.loopctl("init", "--name", "first")
    assert (refused.code, loop.read_text()) == (2, "mine\n")
    assert "--force replaces it" in refused.err
    forced = chat.loopctl("init", "--name", "first", "--force", "--json")
    assert forced.code == 0, str(forced)
    assert loop.read_text() == shown.out
    assert yaml.safe_load(json.loads(forced.out)["text"])["name"] == "first"
    for command in ("validate", "doctor", "plan", "run"):
        assert f"loopctl {command} first" in shown.out


def test_what_cannot_be_written_is_refused_with_what_to_do(chat: Project) -> None:
    for arguments, said in (
        (["nowhere"], "is not a folder"),
        (["--env", "staging"], "there is local, docker"),
        (["--name", "../x"], "letters, digits"),
    ):
        refused = chat.loopctl("init", *arguments)
        assert (refused.code, said in refused.err) == (2, True), str(refused)
    (chat.root / "loops").rmdir()
    (chat.root / "loops").symlink_to(chat.root.parent)
    refused = chat.loopctl("init")
    assert (refused.code, "is a link" in refused.err) == (2, True), str(refused)


def test_doctor_names_the_tools_that_a_written_loop_lacks(project: Project) -> None:
    project.write("package.json", '{"scripts": {"start": "node a.js"}, "dependencies": {"x": "1"}}')
    project.write("pnpm-lock.yaml", "")
    project.write("a.js", "listen(process.env.PORT)\n")
    assert project.loopctl("init", "--name", "first").code == 0
    (project.root / "bin").mkdir()
    (project.root / "bin" / "sh").symlink_to("/bin/sh")
    lacking = project.loopctl("doctor", "first", env={"PATH": str(project.root / "bin")})
    assert lacking.code == 4, str(lacking)
    assert "MISSING build of " in lacking.out
    assert "install pnpm, or change build.steps" in lacking.out
    assert "'node' is not found on PATH" in lacking.out
