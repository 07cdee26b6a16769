"""The engine's builder from before BuildKit: `POST /build?version=1`.

It tells everything in one stream of text, its own words and what the steps print. Its own come as
whole messages: `Step 2/5 : RUN make`, ` ---> Using cache`, ` ---> Running in <container>`, and
`Removing intermediate container <container>` once that has ended; what stands between the last two
was printed by the step, whatever it looks like.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from loopctl.engine.build_failure import failure
from loopctl.engine.build_request import (
    BuildFailedError,
    BuildRequest,
    BuildStepEnded,
    Context,
    OnOutput,
    OnStep,
)
from loopctl.engine.buildkit import answers, ended_without_image, id_of, told
from loopctl.engine.connection import Engine
from loopctl.process import Stop

_STEP: Final = re.compile(r"Step (\d+/\d+) : (.*)\Z", re.DOTALL)
_RUNNING: Final = re.compile(r" ---> Running in (\w+)\n\Z")
_REMOVED: Final = "Removing intermediate container {}\n"
_CACHED: Final = " ---> Using cache\n"


def build_by_old_builder(
    engine: Engine,
    request: BuildRequest,
    context: Context,
    on: OnStep,
    output: OnOutput,
    stop: Stop,
) -> str:
    """Build; the image's id, `sha256:…`. Raises as `loopctl.engine.build.build` does."""
    fold = _Fold(on, output)
    image: str | None = None
    for each in answers(engine, "1", request, context, stop):
        if "error" in each:
            raise fold.failure(*told(each))
        image = id_of(each) or image
        fold.feed(each)
    if image is None:
        raise ended_without_image(engine)
    fold.finish()
    return image


class _Fold:
    def __init__(self, on: OnStep, output: OnOutput) -> None:
        self._on = on
        self._output = output
        self._step: str | None = None
        self._began = 0.0
        self._cached = False
        self._container: str | None = None

    def feed(self, answer: Mapping[str, Any]) -> None:
        text = answer.get("stream")
        if not isinstance(text, str):
            return
        self._output(text.encode("utf-8", "surrogateescape"))
        if self._container is not None:
            if text == _REMOVED.format(self._container):
                self._container = None
        elif found := _STEP.match(text):
            self.finish()
            self._step = f"[{found.group(1)}] {found.group(2)}"
            self._began, self._cached = time.monotonic(), False
        elif found := _RUNNING.match(text):
            self._container = found.group(1)
        elif text == _CACHED:
            self._cached = True

    def finish(self) -> None:
        """The step that was last begun has ended well."""
        if self._step is not None:
            seconds = time.monotonic() - self._began
            self._on(BuildStepEnded(self._step, seconds, self._cached))
            self._step = None

    def failure(self, text: str, code: int | None) -> BuildFailedError:
        return failure(text, step=self._step, code=code)
