"""What a suite's process prints is kept, but not without end."""

from __future__ import annotations

from pathlib import Path

from loopctl.redact import Redactor
from loopctl.suites.capture import TAIL_BYTES, Capture


def captured(path: Path, *chunks: bytes, most: int) -> bytes:
    capture = Capture(path, Redactor({}), most)
    for chunk in chunks:
        capture.feed(chunk)
    capture.process_ended()
    capture.close()
    assert capture.error is None
    return path.read_bytes()


def test_a_short_output_is_kept_whole(tmp_path: Path) -> None:
    assert captured(tmp_path / "out", b"one\n", b"two\n", most=8) == b"one\ntwo\n"


def test_of_a_flood_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    flood = (b"%07d\n" % number for number in range(100_000))
    kept = captured(tmp_path / "out", *flood, b"the last words\n", most=80)
    assert kept.startswith(b"".join(b"%07d\n" % number for number in range(10)))
    assert kept.endswith(b"0099999\nthe last words\n")
    assert len(kept) < TAIL_BYTES + 200
    assert b"bytes left out" in kept
