"""The images that a Dockerfile builds upon: as new as their registries have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, EngineGoneError
from loopctl.engine.images import Image, find_image, pull_image
from loopctl.errors import Stopped
from loopctl.ports.builder import BuilderGoneError, Noticed
from loopctl.process import Stop

#: Seconds for one image; where there is an old one already, no longer than it is worth.
_PULL_S: Final = 600.0
_RENEW_S: Final = 60.0


def renew_bases(
    engine: Engine, names: Iterable[str], on: Callable[[Noticed], None], stop: Stop
) -> None:
    """See that the engine has each image, the newest of its name where a registry has one.

    A build with `pull` fails for an image that exists in the engine only, and without it takes a
    base of another year: so each is asked for first, and what could not be renewed is told.
    Raises `BuilderGoneError` for one that cannot be had at all, `EngineError`, `Stopped`.
    """
    for name in dict.fromkeys(names):
        held = find_image(engine, name, stop)
        if held is not None and not held.digests:
            # It was never pulled and never pushed: a registry's image of that name is another.
            on(Noticed(f"the base image {name} exists in this engine only ({_made(held)})"))
        elif "@" not in name or held is None:
            _pull(engine, name, held, on, stop)


def _pull(
    engine: Engine, name: str, held: Image | None, on: Callable[[Noticed], None], stop: Stop
) -> None:
    try:
        with stop.child(_PULL_S if held is None else _RENEW_S) as limited:
            pull_image(engine, name, limited)
    except EngineGoneError:
        raise
    except (EngineError, Stopped) as error:
        stop.remaining(0)
        why = error.what if isinstance(error, EngineError) else "its registry took too long"
        if held is None:
            raise BuilderGoneError(
                f"the base image {name} cannot be had: {why}",
                hint="see that its name is right and its registry reachable, or load it into the "
                "engine by hand (`docker pull`, `docker load`)",
            ) from None
        on(Noticed(f"the base image {name} could not be renewed, {_made(held)} is used: {why}"))


def _made(image: Image) -> str:
    return f"{image.id[:19]}, made {image.created:%Y-%m-%d %H:%M} UTC"
