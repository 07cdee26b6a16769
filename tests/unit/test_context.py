"""The build context: which files, which bytes, and that a change in between is noticed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from loopctl.builders.context import Context, context_of
from loopctl.evidence.blobs import read_tree, tree_digest
from loopctl.model.artifact import SourceTree
from loopctl.ports.builder import BuildError


def tree(folder: Path) -> SourceTree:
    files = read_tree(folder)
    return SourceTree(folder, files, tree_digest(files))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "big").mkdir()
    (tmp_path / "big/blob").write_bytes(b"x" * 3_000_000)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o775)
    (tmp_path / "link").symlink_to("run.sh")
    (tmp_path / os.fsdecode(b"latin-\xe9 \n" + b"x" * 150)).write_text("odd")
    return tmp_path


def members(context: Context) -> list[tarfile.TarInfo]:
    content = io.BytesIO(b"".join(context.chunks()))
    with tarfile.open(fileobj=content, errors="surrogateescape") as archive:
        return archive.getmembers()


def test_the_dockerfile_comes_first_and_the_rest_in_order(folder: Path) -> None:
    context = context_of(tree(folder), "Dockerfile")
    listed = members(context)
    names = [member.name for member in listed]
    assert names[0] == "Dockerfile"
    assert [n for n in names[1:] if n != "big"] == sorted(n for n in names[1:] if n != "big")
    assert {m.name: m.mode for m in listed if m.name in ("run.sh", "Dockerfile")} == {
        "run.sh": 0o755,
        "Dockerfile": 0o644,
    }
    assert {(m.uid, m.gid) for m in listed} == {(0, 0)}
    (stamp,) = {m.mtime for m in listed}
    assert stamp == int(stamp) >= 946_684_800
    assert next(m for m in listed if m.name == "link").linkname == "run.sh"


def test_the_same_tree_gives_the_same_bytes_and_another_one_another_time(folder: Path) -> None:
    context = context_of(tree(folder), "Dockerfile")
    before = b"".join(context.chunks())
    for path in folder.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert b"".join(context_of(tree(folder), "Dockerfile").chunks()) == before
    (folder / "run.sh").write_text("#!/bin/ash\n")
    assert context_of(tree(folder), "Dockerfile").stamp != context.stamp


def test_the_largest_folders_are_named_before_anything_is_sent(folder: Path) -> None:
    context = context_of(tree(folder), "Dockerfile")
    assert context.size > 3_000_000
    assert context.largest_folders(1) == [("big", 3_000_000)]


def test_ignored_files_are_not_sent_but_for_the_dockerfile(folder: Path) -> None:
    (folder / ".dockerignore").write_text("big\nDockerfile\n.dockerignore\n")
    context = context_of(tree(folder), "Dockerfile")
    sent = {file.path for file in context.sent}
    assert "Dockerfile" in sent
    assert not {"big/blob", ".dockerignore"} & sent
    assert [file.path for file in context.taken_unasked] == ["Dockerfile"]
    assert context.ignored == 3


def test_the_ignore_file_of_the_dockerfile_wins(folder: Path) -> None:
    (folder / ".dockerignore").write_text("run.sh\n")
    (folder / "Dockerfile.dockerignore").write_text("big\n")
    sent = {file.path for file in context_of(tree(folder), "./Dockerfile").sent}
    assert "run.sh" in sent
    assert "big/blob" not in sent


def test_a_bad_ignore_file_is_named_with_its_line(folder: Path) -> None:
    (folder / ".dockerignore").write_text("ok\n[\n")
    with pytest.raises(BuildError, match=r"\.dockerignore, line 2"):
        context_of(tree(folder), "Dockerfile")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("docker/Dockerfile", "does not exist"),
        ("../Dockerfile", "outside of the source"),
        ("link", "symbolic link"),
    ],
)
def test_a_dockerfile_that_cannot_be_used_is_said(folder: Path, name: str, says: str) -> None:
    with pytest.raises(BuildError, match=says) as raised:
        context_of(tree(folder), name)
    assert raised.value.hint


def test_a_dockerfile_that_git_ignores_is_said(folder: Path) -> None:
    source = tree(folder)
    (folder / "Other").write_text("FROM scratch\n")
    with pytest.raises(BuildError, match="git ignores it"):
        context_of(source, "Other")


def _rewrite(path: Path) -> None:
    path.write_text("#!/bin/xx\n")


def _grow(path: Path) -> None:
    path.write_text(path.read_text() + "more")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.parent / "moved")
    path.symlink_to("moved")


def _mode(path: Path) -> None:
    path.chmod(0o644)


@pytest.mark.parametrize("change", [_rewrite, _grow, _pipe, _link, _mode, Path.unlink])
def test_a_file_that_changed_since_it_was_read_is_noticed(folder: Path, change: object) -> None:
    context = context_of(tree(folder), "Dockerfile")
    assert callable(change)
    change(folder / "run.sh")
    with pytest.raises(BuildError, match=r"run\.sh changed"):
        list(context.chunks())


def test_a_link_that_points_elsewhere_now_is_noticed(folder: Path) -> None:
    context = context_of(tree(folder), "Dockerfile")
    (folder / "link").unlink()
    (folder / "link").symlink_to("big")
    with pytest.raises(BuildError, match="link changed"):
        list(context.chunks())
