"""The publisher port: images go to a registry, and come back by its digest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from loopctl.builders.image_shelf import PUSHED_TAG
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError, EngineGoneError
from loopctl.engine.images import find_image, untag_image
from loopctl.engine.logins import login_for
from loopctl.engine.push import push_image
from loopctl.errors import Problem, Stopped
from loopctl.model.artifact import Artifact
from loopctl.ports.publisher import Publisher, PublishError
from loopctl.process import Stop

_TAG_DIGITS: Final = 12
_FORGET_S: Final = 5.0


class RegistryPublisher(Publisher):
    """Pushes to `prefix` (`host[:port]/path`), each service into a repository of its name.

    `answers` asks the registry whether it is there: None, or why it does not seem so.
    """

    def __init__(
        self, engine: Engine, prefix: str, answers: Callable[[str, Stop], str | None]
    ) -> None:
        self._engine = engine
        self._prefix = prefix.rstrip("/")
        self._answers = answers

    def check(self, stop: Stop) -> list[Problem]:
        """Whether the registry answers, and the login there can be had."""
        why = self._answers(self._prefix, stop)
        if why is None:
            return self._login_problems()
        hint = "start it, or mend `registry` of this environment"
        return [Problem(f"the registry does not answer: {why}", where=self._prefix, hint=hint)]

    def _login_problems(self) -> list[Problem]:
        try:
            login_for(self._engine, f"{self._prefix}/any")
        except EngineError as error:
            what = f"there is no login at the registry: {error.what}"
            return [Problem(what, where=self._prefix, hint=error.hint)]
        return []

    def publish(self, artifact: Artifact, stop: Stop) -> Artifact:
        """Push under a tag that names the source, and read the digest back from the engine."""
        repository = f"{self._prefix}/{artifact.service}"
        tag = f"{PUSHED_TAG}{artifact.source_tree.partition(':')[2][:_TAG_DIGITS]}"
        try:
            digest = push_image(self._engine, artifact.digest, repository, tag, stop)
            pinned = f"{repository}@{digest}"
            held = find_image(self._engine, pinned, stop)
        except EngineGoneError as error:
            raise PublishError(error.what, where=error.where, hint=error.hint) from None
        except Stopped:
            self._forget(f"{repository}:{tag}")
            raise
        except EngineError as error:
            self._forget(f"{repository}:{tag}")
            raise PublishError(
                f"{repository} did not take the image: {error.what}",
                where=self._prefix,
                hint="see that the registry is up, has room, and that this user may push to it "
                "(`docker login`)",
            ) from None
        if held is None or held.id != artifact.digest:
            found = held.id if held else "nothing"
            raise PublishError(
                f"{pinned} was pushed as {artifact.digest} and is {found}", where=self._prefix
            )
        return replace(artifact, digest=digest, location=pinned, image_id=artifact.digest)

    def _forget(self, name: str) -> None:
        """The name was given for a push that came to nothing."""
        with contextlib.suppress(EngineError, Stopped):
            untag_image(self._engine, name, Stop(_FORGET_S))
