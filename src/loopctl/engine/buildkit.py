"""BuildKit by the engine's HTTP API: `POST /build?version=2` with a tar file.

No client session is needed for that, and so there is none: secrets and ssh keys cannot be mounted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from loopctl.engine.build_failure import concerns_dockerfile, failure
from loopctl.engine.build_progress import BuildProgress
from loopctl.engine.build_request import BuildRequest, Context, OnOutput, OnStep
from loopctl.engine.build_trace import TRACE, decoded
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineGoneError, EngineRefusedError
from loopctl.engine.logins import all_logins
from loopctl.engine.posting import posted, went_away
from loopctl.inert import one_line
from loopctl.process import Stop

_IMAGE: Final = "moby.image.id"


def build_by_buildkit(
    engine: Engine,
    request: BuildRequest,
    context: Context,
    on: OnStep,
    output: OnOutput,
    stop: Stop,
) -> str:
    """Build; the image's id, `sha256:…`. Raises as `loopctl.engine.build.build` does."""
    progress = BuildProgress(on, output)
    image: str | None = None
    for each in answers(engine, "2", request, context, stop):
        if "error" in each:
            raise progress.failure(*told(each))
        if each.get("id") == TRACE:
            progress.feed(decoded(each.get("aux")))
        elif each.get("id") == _IMAGE:
            image = id_of(each)
    if image is None:
        raise ended_without_image(engine)
    return image


def answers(
    engine: Engine, version: str, request: BuildRequest, context: Context, stop: Stop
) -> Iterator[Mapping[str, Any]]:
    """The objects that either of the engine's builders answers with, as they come.

    `version`: `1` for the old builder, `2` for BuildKit.
    """
    headers = {"Content-Type": "application/x-tar", **all_logins(engine)}
    query = {**_query(request), "version": version}
    try:
        with posted(engine, "/build", query, headers, context, stop) as objects:
            yield from objects
    except EngineRefusedError as error:
        if concerns_dockerfile(error.what):
            raise failure(error.what) from None
        raise


def told(answer: Mapping[str, Any]) -> tuple[str, int | None]:
    """Text and exit code of an answer that is an error."""
    detail = answer.get("errorDetail")
    code = detail.get("code") if isinstance(detail, dict) else None
    return str(answer["error"]), code if isinstance(code, int) else None


def id_of(answer: Mapping[str, Any]) -> str | None:
    """The image's id, where an answer brings one."""
    aux = answer.get("aux")
    found = aux.get("ID") if isinstance(aux, dict) else None
    return one_line(found) if isinstance(found, str) else None


def ended_without_image(engine: Engine) -> EngineGoneError:
    """The stream ended well formed, and without an image or an error in it."""
    return went_away(engine.address, "its answer ended without an image")


def _query(request: BuildRequest) -> Mapping[str, str]:
    query = {
        "dockerfile": request.dockerfile,
        "nocache": "1",
        "rm": "1",
        "forcerm": "1",
        "buildargs": json.dumps(dict(request.args)),
        "labels": json.dumps(dict(request.labels)),
    }
    if request.pull:
        query["pull"] = "1"
    if request.tag is not None:
        query["t"] = request.tag
    if request.target is not None:
        query["target"] = request.target
    return query
