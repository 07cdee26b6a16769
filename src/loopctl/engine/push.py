"""Pushing an image, and the digest by which its registry has it then."""

from __future__ import annotations

from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineError
from loopctl.engine.images import tag_image
from loopctl.engine.logins import login_for
from loopctl.engine.posting import nothing, posted, refuse_told
from loopctl.process import Stop


def push_image(engine: Engine, image: str, repository: str, tag: str, stop: Stop) -> str:
    """Push under that name; the manifest's digest (`sha256:…`).

    A push that fails answers 200 and tells of it in its stream; the digest stands there too, as
    `aux.Digest`. Raises `EngineError`, `Stopped`.
    """
    tag_image(engine, image, repository, tag, stop)
    digest = None
    login, path = login_for(engine, repository), f"/images/{repository}/push"
    with posted(engine, path, {"tag": tag}, login, nothing, stop) as answers:
        for told in answers:
            refuse_told(told, f"{repository}:{tag}")
            aux = told.get("aux")
            digest = aux.get("Digest") or digest if isinstance(aux, dict) else digest
    if digest is None:
        raise EngineError("the engine pushed and told no digest", where=f"{repository}:{tag}")
    return str(digest)
