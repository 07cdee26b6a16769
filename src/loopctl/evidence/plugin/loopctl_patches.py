"""Wrappers in foreign classes and modules, and how to build one.

The modules are of unknown versions, so their objects are `Any`. A neighbour of
`loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapper = Callable[[Any], Any]


class Patches:
    """Attributes replaced in foreign classes and modules, put back at the end if still ours."""

    def __init__(self) -> None:
        self._done: list[tuple[Any, str, Any, Any]] = []

    def wrap(self, owner: Any, name: str, make: Wrapper) -> None:
        """Replace `owner.name` by what `make` builds around it; what is missing stays missing."""
        original = getattr(owner, name, None)
        if original is None:
            return
        wrapper = make(original)
        if not isinstance(wrapper, type):
            wrapper = _alike(wrapper, original)
        wrapper.__module__ = getattr(owner, "__module__", None) or getattr(owner, "__name__", None)
        self._done.append((owner, name, owner.__dict__.get(name), wrapper))
        setattr(owner, name, wrapper)

    def undo(self) -> None:
        """Put back what was there, but where something else has taken its place since."""
        for owner, name, own, wrapper in reversed(self._done):
            if owner.__dict__.get(name) is not wrapper:
                continue
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self._done.clear()


def _alike(wrapper: Any, original: Any) -> Any:
    """The wrapper as what looks like the original: `mock.patch` asks whether it is a coroutine
    function, and `autospec` what it takes."""
    call = wrapper
    if inspect.iscoroutinefunction(original) and not inspect.iscoroutinefunction(call):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return await call(*args, **kwargs)

        wrapper = awaited
    functools.update_wrapper(wrapper, original)
    del wrapper.__wrapped__
    with contextlib.suppress(TypeError, ValueError):  # much that is written in C has none
        wrapper.__signature__ = inspect.signature(original)
    return wrapper


def around(
    before: Callable[..., object] | None = None, after: Callable[..., object] | None = None
) -> Wrapper:
    """Build a wrapper that calls `before` with the arguments, `after` with the result and these."""

    def make(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if before is not None:
                before(*args, **kwargs)
            result = original(*args, **kwargs)
            if after is not None:
                after(result, *args, **kwargs)
            return result

        return call

    return make


def awaiting(after: Callable[..., object]) -> Wrapper:
    """Build a wrapper of a coroutine function that calls `after` with its result and arguments."""

    def make(original: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = await original(*args, **kwargs)
            after(result, *args, **kwargs)
            return result

        return call

    return make
