"""Pushing an image, and the digest by which its registry has it then."""

from __future__ import annotations

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.images import tag_image
from loopctl.engine.logins import login_for
from loopctl.engine.streams import cut_when_stopped, posted, refuse_told, told_by
from loopctl.process import Stop


def push_image(engine: Engine, image: str, repository: str, tag: str, stop: Stop) -> str:
    """Push under that name; the manifest's digest (`sha256:…`).

    A push that fails answers 200 and tells of it in its stream; the digest stands there too, as
    `aux.Digest`. Raises `EngineError`, `Stopped`.
    """
    tag_image(engine, image, repository, tag, stop)
    digest = None
    with engine.api(stop) as api:
        login = {"X-Registry-Auth": login_for(api, repository)}
        answer = posted(api, f"/images/{repository}/push", {"tag": tag}, login, stop)
        with cut_when_stopped(answer, stop):
            for told in told_by(answer):
                refuse_told(told, f"{repository}:{tag}")
                digest = (told.get("aux") or {}).get("Digest") or digest
    if digest is None:
        raise EngineError("the engine pushed and told no digest", where=f"{repository}:{tag}")
    return str(digest)
