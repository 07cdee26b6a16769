"""`${services.NAME.url}` and its kin, filled in at run time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

REFERENCE = re.compile(r"\$\{services\.(?P<service>[A-Za-z0-9_-]+)\.(?P<field>url|ws_url)\}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is met in this phase of the run."""

    url: str
    ws_url: str

    @staticmethod
    def of(url: str) -> Endpoint:
        """The endpoint of an http(s) URL, with the ws(s) URL that goes with it."""
        url = url.rstrip("/")
        return Endpoint(url, re.sub(r"^http", "ws", url))


def fill(text: str, endpoints: Mapping[str, Endpoint]) -> str:
    """Put the endpoints into `text`; `KeyError` with the service's name when one is not known."""

    def one(match: re.Match[str]) -> str:
        endpoint = endpoints[match["service"]]
        return endpoint.url if match["field"] == "url" else endpoint.ws_url

    return REFERENCE.sub(one, text)


def mentioned(text: str) -> frozenset[str]:
    """The names of the services that `text` refers to."""
    return frozenset(match["service"] for match in REFERENCE.finditer(text))


def variable_name(service: str) -> str:
    """A service's name as it stands in `LOOPCTL_URL_…`: upper-cased, `-` as `_`."""
    return service.upper().replace("-", "_")
