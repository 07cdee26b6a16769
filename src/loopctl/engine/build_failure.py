"""From what a builder says of its failure to an error with step, exit code and line.

The texts are those of engine 20.10 and of BuildKit's later versions, collected from real failures;
one that is not known stays whole, and only lacks what could have been read from it.
"""

from __future__ import annotations

import re
from typing import Final

from loopctl.engine.build_request import BaseImageAbsentError, BuildFailedError
from loopctl.inert import one_line

_LONGEST: Final = 600
_LONGEST_STEP: Final = 200

# The layers of BuildKit through which an error came: nobody who wrote a Dockerfile knows them.
_LAYERS: Final = re.compile(
    r"(?:ERROR: |failed to build: |failed to solve(?: with frontend [\w.]+)?: "
    r"|rpc error: code = \w+ desc = |failed to create LLB definition: "
    r"|failed to (?:compute|load) cache key: )+"
)
_EXIT: Final = re.compile(r"(?:exit code|returned a non-zero code): (\d+)\s*$")
_LINE: Final = re.compile(r"dockerfile parse error (?:on )?line (\d+)")
_NO_SESSION: Final = re.compile(r"no active sessions?|no session")
_BASE_VERTEX: Final = re.compile(
    r"(?:\[internal\] load metadata for |resolve image config for (?:docker-image://)?"
    r"|docker-image://|(?:\[[^\]]*\] )?FROM (?:--\S+ )*)(\S+)"
)
_COPY_FROM: Final = re.compile(r"invalid from flag value (\S+): ")
# A FROM that fails so was never looked for.
_NOT_A_NAME: Final = re.compile(r"invalid reference format|failed to parse stage name")


def failure(
    text: str, *, step: str | None = None, code: int | None = None, mark: str | None = None
) -> BuildFailedError:
    """The error for what a builder said. `code`: the exit code, where it was said apart."""
    what = one_line(_LAYERS.sub("", text, count=1).strip() or "the build failed", limit=_LONGEST)
    name = None if step is None else one_line(step, limit=_LONGEST_STEP)
    image = _absent_image(text, step)
    if image is not None:
        told = what if image in what else f"the image {image} cannot be had: {what}"
        return BaseImageAbsentError(told, image, step=name)
    line = _number(_LINE, text)
    return BuildFailedError(
        what,
        step=name,
        step_exit=code if code is not None else _number(_EXIT, text),
        line=line,
        mark=mark,
        hint=_hint(text),
    )


def concerns_dockerfile(text: str) -> bool:
    """Whether an engine that refused to begin found fault with the Dockerfile."""
    return "ockerfile" in text or "build target" in text or "target stage" in text


def _absent_image(text: str, step: str | None) -> str | None:
    if _NOT_A_NAME.search(text):
        return None
    found = _BASE_VERTEX.match(step or "") or _COPY_FROM.search(text)
    return None if found is None else one_line(found.group(1), limit=_LONGEST_STEP)


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return None if found is None else int(found.group(1))


def _hint(text: str) -> str | None:
    if _NO_SESSION.search(text):
        return "the Dockerfile mounts a secret or an ssh key, and none was handed over"
    if "requires BuildKit" in text:
        return "DOCKER_BUILDKIT=0 asks for the old builder, or the engine has no other: see there"
    return None
