"""The words service, over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest


class Words:
    """A stub as the generator would have made it."""

    def __init__(self, channel: Any) -> None:
        coding = {"request_serializer": str.encode, "response_deserializer": bytes.decode}
        self.reverse = channel.unary_unary("/zoo.Words/Reverse", **coding)
        self.letters = channel.unary_stream("/zoo.Words/Letters", **coding)
        self.join = channel.stream_unary("/zoo.Words/Join", **coding)


@pytest.fixture(scope="module")
def words(grpc_address: str) -> Iterator[Words]:
    """One channel for the module, ready."""
    with grpc.insecure_channel(grpc_address) as channel:
        grpc.channel_ready_future(channel).result(timeout=5)
        yield Words(channel)


@pytest.mark.parametrize("text", ["mug", "grün", "a" * 5000])
def test_backwards(words: Words, text: str) -> None:
    assert words.reverse(text, timeout=5) == text[::-1]


def test_nothing_is_an_invalid_argument(words: Words) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        words.reverse("", timeout=5)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_streams_both_ways(words: Words) -> None:
    letters = list(words.letters("tea", timeout=5))
    assert words.join(iter(letters), timeout=5) == "t-e-a"


def test_futures(words: Words) -> None:
    asked = {text: words.reverse.future(text, timeout=5) for text in ("ab", "cd", "ef")}
    assert {text: one.result() for text, one in asked.items()} == {
        "ab": "ba",
        "cd": "dc",
        "ef": "fe",
    }


async def test_an_asynchronous_channel(grpc_address: str) -> None:
    async with grpc.aio.insecure_channel(grpc_address) as channel:
        heard = [letter async for letter in Words(channel).letters("shop", timeout=5)]
    assert heard == list("shop")
