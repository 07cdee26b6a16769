"""What files.py promises about whole, private, appended and removed files."""

import gc
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopctl.errors import LockedError, StorageError
from loopctl.files import AppendFile, ensure_private_dir, remove_tree, write_atomic

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel cuts writes short at this size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root ignores permissions, so a test of them runs as nobody; folder is given to it."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, NOBODY, NOBODY)
    # Others may not enter pytest's folders: a relative path goes around them.
    before = Path.cwd()
    os.chdir(folder)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.chdir(before)


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_atomic(target, "grün\n")
    assert target.read_bytes() == "grün\n".encode()
    assert mode(target) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_the_mode_asked_for_wins_over_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "a", b"x", mode=0o644)
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o644


def test_a_write_that_does_not_fit_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    target = tmp_path / "summary.json"
    write_atomic(target, b"old")
    with file_size_limit(4096), pytest.raises(StorageError) as caught:
        write_atomic(target, b"n" * 10_000)
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
    assert str(target) in str(caught.value)
    assert "File too large" in str(caught.value)
    assert "ulimit -f" in str(caught.value)


def test_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    write_atomic(link, "new")
    assert victim.read_text() == "mine"
    assert not link.is_symlink()


def test_a_pipe_or_folder_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(StorageError, match=name):
            write_atomic(tmp_path / name, b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


@pytest.mark.parametrize("below", ["file/result.json", "absent/result.json"])
def test_an_impossible_place_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=below) as caught:
        write_atomic(tmp_path / below, b"x")
    assert caught.value.hint


def test_a_folder_without_permission_is_an_error_and_not_a_traceback(tmp_path: Path) -> None:
    with unprivileged(tmp_path):
        here = Path() if os.getuid() == 0 else tmp_path
        closed = here / "closed"
        closed.mkdir(mode=0o500)
        with pytest.raises(StorageError, match="Permission denied"):
            write_atomic(closed / "a", b"x")
        with pytest.raises(StorageError, match="Permission denied"):
            ensure_private_dir(closed / "runs")
        with pytest.raises(StorageError, match="Permission denied"):
            AppendFile(closed / "journal")


def test_folders_are_made_for_the_user_alone(tmp_path: Path) -> None:
    ensure_private_dir(tmp_path / "runs" / "one")
    assert mode(tmp_path / "runs") == mode(tmp_path / "runs" / "one") == 0o700


def test_an_open_folder_is_closed_but_not_its_parent(tmp_path: Path) -> None:
    parent, leaf = tmp_path / "project", tmp_path / "project" / "runs"
    leaf.mkdir(parents=True)
    parent.chmod(0o755)
    leaf.chmod(0o755)
    ensure_private_dir(leaf)
    assert (mode(parent), mode(leaf)) == (0o755, 0o700)


def test_a_file_where_a_folder_belongs_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    (tmp_path / "runs").chmod(0o640)
    for path in (tmp_path / "runs", tmp_path / "runs" / "one"):
        with pytest.raises(StorageError, match="Not a directory"):
            ensure_private_dir(path)
    assert mode(tmp_path / "runs") == 0o640


def test_records_are_appended_as_private_lines(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for record in (b"one", b"two"):
        with AppendFile(path) as journal:
            journal.append(record)
            journal.sync()
    assert path.read_bytes() == b"one\ntwo\n"
    assert mode(path) == 0o600


def test_a_record_of_two_lines_is_refused(tmp_path: Path) -> None:
    with AppendFile(tmp_path / "journal") as journal, pytest.raises(ValueError, match="one line"):
        journal.append(b"a\nb")
    assert (tmp_path / "journal").read_bytes() == b""


def test_a_full_disk_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "journal").symlink_to("/dev/full")
    with (
        AppendFile(tmp_path / "journal") as journal,
        pytest.raises(StorageError, match="No space left on device") as caught,
    ):
        journal.append(b"event")
    assert "free some space" in str(caught.value)


def test_a_record_cut_short_is_taken_back_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with AppendFile(path) as journal:
        journal.append(b"first")
        with file_size_limit(1000), pytest.raises(StorageError, match="File too large"):
            journal.append(b"x" * 5000)
        assert path.read_bytes() == b"first\n"
        journal.append(b"second")
    assert path.read_bytes() == b"first\nsecond\n"


@pytest.mark.parametrize("torn", [b"", b'{"seq": 2', b"y" * 200_000])
def test_a_torn_last_line_is_cut_off_on_opening(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"whole\n" + torn)
    with AppendFile(path) as journal:
        assert journal.torn == len(torn)
        journal.append(b"next")
    assert path.read_bytes() == b"whole\nnext\n"


def test_a_file_that_is_only_torn_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"torn")
    with AppendFile(tmp_path / "journal") as journal:
        assert journal.torn == 4
    assert (tmp_path / "journal").read_bytes() == b""


def test_a_closed_file_takes_nothing_more(tmp_path: Path) -> None:
    journal = AppendFile(tmp_path / "journal")
    journal.close()
    journal.close()
    with pytest.raises(StorageError):
        journal.append(b"late")


def test_a_file_that_nobody_holds_any_more_may_be_opened_by_others(tmp_path: Path) -> None:
    held = AppendFile(tmp_path / "journal")
    with pytest.raises(LockedError):
        AppendFile(tmp_path / "journal")
    del held
    gc.collect()
    AppendFile(tmp_path / "journal").close()


def test_removing_never_follows_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep")
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "link").symlink_to(outside)
    (tmp_path / "way_in").symlink_to(outside)
    remove_tree(tree)
    remove_tree(tmp_path / "way_in")
    assert not tree.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["outside"]
    assert (outside / "precious").read_text() == "keep"


def test_closed_folders_are_removed_too(tmp_path: Path) -> None:
    with unprivileged(tmp_path):
        here = Path() if os.getuid() == 0 else tmp_path
        tree = here / "tree"
        for name, bits in (("read_only", 0o500), ("shut", 0o000)):
            (tree / name).mkdir(parents=True)
            (tree / name / "file").write_text("")
            (tree / name).chmod(bits)
        tree.chmod(0o500)
        remove_tree(tree)
        assert list(here.iterdir()) == []


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove_tree(tmp_path / "absent")
    remove_tree(tmp_path / "absent" / "deeper")


def test_what_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "below", tmp_path / ".."):
        with pytest.raises(StorageError, match="cannot remove"):
            remove_tree(path)
    assert (tmp_path / "file").exists()
