"""Putting an artifact where a platform takes it from: an image registry."""

from __future__ import annotations

from typing import Protocol

from loopctl.errors import PortError, Problem
from loopctl.model.artifact import Artifact
from loopctl.process import Stop


class PublishError(PortError):
    """The registry did not take the image: down, refusing, full. The image itself is well."""


class Publisher(Protocol):
    """Pushes images. An environment without a registry has none."""

    def check(self, stop: Stop) -> list[Problem]:
        """What keeps the registry from taking images, as far as can be seen; empty: nothing."""
        ...

    def publish(self, artifact: Artifact, stop: Stop) -> Artifact:
        """Push, and read back that the registry has it. Raises `PublishError`.

        What comes back is the same image by the registry's digest: `digest` and `location` are the
        registry's, `image_id` is what `digest` was.
        """
        ...
