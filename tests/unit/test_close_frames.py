"""The walker finds the first close frame, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopctl.platforms.host.close_frames import NO_CODE, CloseFrame, FrameWalker

_MASK = bytes((0x11, 0xA2, 0x33, 0xF4))


def frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    size = len(payload)
    if size <= 125:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))


def close_frame(code: int, reason: str, *, masked: bool) -> bytes:
    return frame(8, code.to_bytes(2, "big") + reason.encode(), masked=masked)


def walked(data: bytes, cuts: list[int] | None = None) -> CloseFrame | None:
    walker = FrameWalker()
    edges = [0, *sorted(cuts or []), len(data)]
    for start, end in pairwise(edges):
        walker.feed(data[start:end])
    return walker.close


@pytest.mark.parametrize("masked", [True, False])
def test_code_and_reason_are_read_from_a_close_frame(masked: bool) -> None:
    data = close_frame(1000, "main cleanup", masked=masked)
    assert walked(data) == CloseFrame(code=1000, reason="main cleanup")


@pytest.mark.parametrize("masked", [True, False])
def test_a_close_frame_without_a_code_is_1005(masked: bool) -> None:
    assert walked(frame(8, b"", masked=masked)) == CloseFrame(code=NO_CODE, reason="")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("masked", [True, False])
def test_messages_of_every_length_are_stepped_over(size: int, masked: bool) -> None:
    before = frame(2, b"\x88" * size, masked=masked) + frame(9, b"ping", masked=masked)
    data = before + close_frame(1011, "", masked=masked)
    assert walked(data) == CloseFrame(code=1011, reason="")


def test_what_looks_like_a_close_frame_inside_a_message_is_not_one() -> None:
    inner = close_frame(1001, "no", masked=False)
    assert walked(frame(1, inner, masked=False)) is None


def test_only_the_first_close_frame_counts() -> None:
    data = close_frame(1000, "first", masked=False) + close_frame(1011, "second", masked=False)
    assert walked(data) == CloseFrame(code=1000, reason="first")


def test_a_close_frame_cut_short_is_none() -> None:
    assert walked(close_frame(1000, "main cleanup", masked=True)[:-1]) is None


def test_a_close_frame_longer_than_the_protocol_allows_is_not_kept() -> None:
    walker = FrameWalker()
    walker.feed(frame(8, b"x" * 200, masked=False) + close_frame(1000, "", masked=False))
    assert walker.close is None


def test_a_reason_that_is_not_utf_8_does_no_harm() -> None:
    found = walked(frame(8, b"\x03\xe8\xff\xfe", masked=False))
    assert found == CloseFrame(code=1000, reason="\ufffd\ufffd")


_frames = st.builds(
    frame,
    st.sampled_from([0, 1, 2, 9, 10]),
    st.binary(max_size=300),
    masked=st.booleans(),
)


@given(st.lists(_frames, max_size=6), st.booleans(), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(
    frames: list[bytes], masked: bool, data: st.DataObject
) -> None:
    stream = b"".join(frames) + close_frame(4001, "bye ✓", masked=masked)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert walked(stream, cuts) == CloseFrame(code=4001, reason="bye ✓")


@given(st.binary(max_size=2000))
def test_no_bytes_at_all_break_the_walker(garbage: bytes) -> None:
    walked(garbage)
