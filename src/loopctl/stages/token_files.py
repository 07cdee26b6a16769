"""Tokens as files, for the processes of a suite: always one that is good for some minutes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from loopctl.errors import PortError, Stopped, StorageError
from loopctl.files import write_atomic
from loopctl.model.plan import ServiceSpec
from loopctl.ports.identity import Token
from loopctl.private_folder import private_folder
from loopctl.process import Stop, TaskScope
from loopctl.stages.callers import Callers

LOOKS_EVERY_S: Final = 1.0


@contextlib.contextmanager
def token_files(
    wanted: Mapping[str, ServiceSpec], callers: Callers, stop: Stop, on: Callable[[str], None]
) -> Iterator[Mapping[str, Path]]:
    """Yields a private file for each service that wants a token; they are gone afterwards.

    Each is replaced whole when its token is renewed. `on` is told, in words and once, that one
    could not be: the old one stays. Raises `PortError` where there is none to begin with.
    """
    found = {name: _one(callers, spec, stop) for name, spec in wanted.items()}
    tokens = {name: token for name, token in found.items() if token is not None}
    if not tokens:
        yield {}
        return
    with private_folder() as folder, TaskScope(stop) as scope:
        files = {name: folder / f"{name}.token" for name in tokens}
        for name, token in tokens.items():
            _write(files[name], token)
        renewal = _Renewal(wanted, callers, files, tokens, on)
        scope.start("renew tokens", renewal.run)
        try:
            yield files
        finally:
            scope.stop.stop("the suite has ended")


def _one(callers: Callers, spec: ServiceSpec, stop: Stop) -> Token | None:
    return callers.of(spec, stop).token


def _write(path: Path, token: Token) -> None:
    write_atomic(path, token.secret.reveal(), mode=0o600)


class _Renewal:
    """Looks every second whether a token is another by now."""

    def __init__(
        self,
        wanted: Mapping[str, ServiceSpec],
        callers: Callers,
        files: Mapping[str, Path],
        tokens: dict[str, Token],
        on: Callable[[str], None],
    ) -> None:
        self._wanted, self._callers, self._files = wanted, callers, files
        self._tokens, self._on = tokens, on
        self._told: set[str] = set()

    def run(self, stop: Stop) -> None:
        with contextlib.suppress(Stopped):
            while True:
                stop.wait(LOOKS_EVERY_S)
                for name in self._files:
                    self._look(name, stop)

    def _look(self, name: str, stop: Stop) -> None:
        try:
            token = _one(self._callers, self._wanted[name], stop)
            if token is not None and token != self._tokens[name]:
                _write(self._files[name], token)
                self._tokens[name] = token
        except (PortError, StorageError) as error:
            if name not in self._told:
                self._told.add(name)
                self._on(f"the token of {name} could not be renewed: {error.what}")
