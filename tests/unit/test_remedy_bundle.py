"""The bundle holds what a remedy needs to find the cause, and harms nothing outside of it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from loopctl.errors import StorageError
from loopctl.remedies.bundle import LARGEST_FILE, write_bundle


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    for name in ("logs/1", "logs/2", "suites/1/smoke", "bundle"):
        (folder / name).mkdir(parents=True)
    (folder / "logs/1/chat.jsonl").write_text('{"text": "one"}\n')
    (folder / "logs/2/chat.jsonl").write_text('{"text": "two"}\n')
    (folder / "suites/1/smoke/stdout.txt").write_text("FAILED\n")
    return folder


def test_it_holds_the_documents_and_the_cycles_own_files(run: Path) -> None:
    bundle = run / "bundle" / "1"
    write_bundle(bundle, run, 1, {"failure.json": b"{}", "worklog.md": b"# run\n"})
    files = {str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file()}
    assert files == {
        *("failure.json", "worklog.md"),
        *("logs/1/chat.jsonl", "suites/1/smoke/stdout.txt"),
    }
    assert (bundle / "logs/1/chat.jsonl").read_text() == '{"text": "one"}\n'


def test_all_of_it_is_private(run: Path) -> None:
    bundle = run / "bundle" / "1"
    write_bundle(bundle, run, 1, {"failure.json": b"{}"})
    for path in (bundle, *bundle.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_writing_into_it_leaves_the_run_as_it_was(run: Path) -> None:
    bundle = run / "bundle" / "1"
    write_bundle(bundle, run, 1, {})
    (bundle / "logs/1/chat.jsonl").write_text("spoilt")
    assert (run / "logs/1/chat.jsonl").read_text() == '{"text": "one"}\n'


def test_links_and_pipes_are_not_followed_into_it(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (run / "suites/1/smoke/link").symlink_to(tmp_path / "secret")
    os.mkfifo(run / "suites/1/smoke/pipe")
    write_bundle(run / "bundle" / "1", run, 1, {})
    assert [p.name for p in (run / "bundle/1/suites/1/smoke").iterdir()] == ["stdout.txt"]


def test_a_second_bundle_of_a_cycle_replaces_the_first(run: Path) -> None:
    bundle = run / "bundle" / "1"
    write_bundle(bundle, run, 1, {"old.txt": b"old"})
    write_bundle(bundle, run, 1, {"failure.json": b"{}"})
    assert not (bundle / "old.txt").exists()


@pytest.mark.parametrize("name", ["logs/1/chat.jsonl", "suites/1/smoke/stdout.txt"])
def test_of_a_large_file_the_end_is_kept_and_the_rest_is_counted(run: Path, name: str) -> None:
    line = b'{"n": 123456789012345678901234567890}\n'
    count = LARGEST_FILE // len(line) + 1000
    (run / name).write_bytes(line * count)
    write_bundle(run / "bundle" / "1", run, 1, {})
    kept = (run / "bundle/1" / name).read_bytes().splitlines(keepends=True)
    left_out = count - (len(kept) - 1)
    assert f"the first {left_out} lines".encode() in kept[0]
    assert set(kept[1:]) == {line}
    if name.endswith("jsonl"):
        assert json.loads(kept[0])["loopctl"]


def test_a_place_that_cannot_be_written_is_named(run: Path) -> None:
    (run / "bundle").rmdir()
    (run / "bundle").write_text("in the way")
    with pytest.raises(StorageError, match="bundle"):
        write_bundle(run / "bundle" / "1", run, 1, {})
