"""The frames of an attached container, cut wherever the kernel likes."""

from __future__ import annotations

import pytest

from loopctl.engine.frames import Frames


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4) + data


@pytest.mark.parametrize("step", [1, 3, 8, 11, 1000])
def test_both_streams_come_whole_however_they_are_cut(step: int) -> None:
    sent = frame(1, b"out one\n") + frame(2, b"err\n") + frame(1, b"") + frame(1, b"out two")
    frames = Frames()
    got = {"stdout": b"", "stderr": b""}
    for at in range(0, len(sent), step):
        for stream, piece in frames.feed(sent[at : at + step]):
            got[stream] += piece
    assert got == {"stdout": b"out one\nout two", "stderr": b"err\n"}
