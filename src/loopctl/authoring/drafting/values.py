"""Values of other files' variables, in the loop file's own form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loopctl.authoring.drafting.yaml_lines import literal
from loopctl.loopfile.nodes import typed
from loopctl.loopfile.variables import ReferenceProblemError, expand

_REFERENCE: Final = re.compile(
    r"\$\$|\$\{([A-Za-z_]\w*)(?:(:?[-?])([^${}]*))?\}|\$([A-Za-z_]\w*)", re.ASCII
)
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:(?:[^@/\s$]|\$\{[^{}]*\})*@)?([\w.-]+)(?::(\d+))?(.*)", re.DOTALL
)
_SPOKEN: Final = {"http": "url", "https": "url", "ws": "ws_url", "wss": "ws_url"}


@dataclass(frozen=True, slots=True)
class Addressed:
    """A value that named another service: where that leads now. `needs` is deployed beside it.

    `docker` is the value inside a container, where it differs.
    """

    text: str
    needs: str | None = None
    docker: str | None = None
    image: str | None = None


def from_compose(value: str) -> str | None:
    """A compose file's value with its `${X:-default}`; None: it has a form that is not known here.

    What had no default has the empty one: the loop file must be valid in an empty environment.
    """

    parts, at = [""], 0
    for match in _REFERENCE.finditer(value):
        if "${" in value[at : match.start()]:
            return None
        parts[-1] += value[at : match.start()]
        at = match.end()
        if match[0] == "$$":
            parts[-1] += "$"
        else:
            default = (match[3] or "") if match[2] in ("-", ":-") else ""
            parts += [f"${{{match[1] or match[4]}:-{default}}}", ""]
    parts[-1] += value[at:]
    texts = [literal(text) for text in parts[::2]]
    # Before a reference a dollar of its own cannot be written.
    if "${" in value[at:] or None in texts or any(text.endswith("$") for text in parts[:-1:2]):
        return None
    parts[::2] = [text or "" for text in texts]
    written = "".join(parts)
    try:
        filled, whole = expand(written, {})
    except ReferenceProblemError:
        return None
    if whole and isinstance(typed(filled), bool):
        # Filled in, it would be typed, and no text.
        return filled
    return written


def addressed(
    value: str, deployed: Mapping[str, str], images: Mapping[str, int | None]
) -> Addressed | None:
    """The value of a variable that leads to another service of the compose file.

    `deployed` are names in the loop file by names in compose; `images` the ports of this machine
    at which compose publishes what it only pulls.
    """
    found = _URL.fullmatch(value)
    if found is None:
        if value in images:
            return Addressed("127.0.0.1", docker="host.docker.internal", image=value)
        return None
    scheme, host, port, rest = found.groups()
    if host in deployed and scheme in _SPOKEN and literal(rest) == rest:
        return Addressed(f"${{services.{deployed[host]}.{_SPOKEN[scheme]}}}{rest}", deployed[host])
    if host in images and literal(rest) == rest:
        at = images[host] or port
        tail = f"{f':{at}' if at else ''}{rest}"
        return Addressed(
            f"{scheme}://127.0.0.1{tail}",
            docker=f"{scheme}://host.docker.internal{tail}",
            image=host,
        )
    return None
