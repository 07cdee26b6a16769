"""Pages of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import grpc  # type: ignore[import-untyped]

from emulator.rpc import RpcFault

_DEFAULT: Final = 100
_MOST: Final = 1000
T = TypeVar("T")


def page(items: Sequence[T], size: int, token: str) -> tuple[Sequence[T], str]:
    """The page that `token` stands for, and the token of the next, empty at the end."""
    if size < 0:
        text = f"The page size must not be negative, it was {size}."
        raise RpcFault(grpc.StatusCode.INVALID_ARGUMENT, text)
    if token and not token.isdigit():
        raise RpcFault(grpc.StatusCode.INVALID_ARGUMENT, "The page token is not valid.")
    start, count = int(token or 0), min(size or _DEFAULT, _MOST)
    end = start + count
    return items[start:end], str(end) if end < len(items) else ""
