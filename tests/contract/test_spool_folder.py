"""The private folder of a suite is gone with its owner, however that ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loopctl.private_folder import private_folder

HOLDS = """
import sys
from loopctl.private_folder import private_folder
with private_folder() as folder:
    (folder / "spool.jsonl").write_text("a secret")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def owner(place: Path) -> tuple[subprocess.Popen[str], Path]:
    holds = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        env={"TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holds.stdout is not None
    return holds, Path(holds.stdout.readline().strip())


def test_the_folder_is_private_and_gone_afterwards(place: Path) -> None:
    with private_folder() as folder:
        assert (folder.parent, folder.stat().st_mode & 0o777) == (place, 0o700)
    assert list(place.iterdir()) == []


def test_the_folder_of_an_owner_that_was_killed_is_swept_by_the_next(place: Path) -> None:
    holds, folder = owner(place)
    holds.kill()
    holds.communicate()
    assert (folder / "spool.jsonl").exists()
    with private_folder():
        assert not folder.exists()


def test_the_folder_of_one_that_lives_is_left_alone_also_of_this_process(place: Path) -> None:
    holds, folder = owner(place)
    with private_folder() as first, private_folder() as second:
        assert all(path.is_dir() for path in (folder, first, second))
    holds.communicate("")
    assert holds.returncode == 0
    assert list(place.iterdir()) == []


def test_a_link_in_its_name_is_not_followed(place: Path) -> None:
    (place / "precious").mkdir()
    (place / "loopctl-spool-link").symlink_to(place / "precious")
    with private_folder():
        assert (place / "precious").is_dir()
