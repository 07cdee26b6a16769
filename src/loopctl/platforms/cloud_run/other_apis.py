"""Google's APIs of which there is no client here, asked over HTTP as the place's own account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loopctl.inert import one_line
from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.errors import ApiError, translated
from loopctl.process import Stop

_CALL_S: Final = 5.0
_LONGEST: Final = 300
_UNUSED: Final = "has not been used in project"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status with the JSON object that came with it, empty where none did."""

    status: int
    document: Mapping[str, Any]

    @property
    def error(self) -> Mapping[str, Any]:
        """Google's own form of an error; empty where the answer is in another."""
        told = self.document.get("error")
        return told if isinstance(told, dict) else {}

    @property
    def message(self) -> str:
        """The server's text, in one line."""
        text = str(self.error.get("message") or "")
        return one_line(text, limit=_LONGEST) or f"it answers {self.status}"

    @property
    def is_not_found(self) -> bool:
        """Whether the API itself says that there is no such thing; a page of HTML does not."""
        return self.status == 404 and self.error.get("status") == "NOT_FOUND"

    @property
    def is_disabled(self) -> bool:
        """Whether the API is off in the project, which is a 403 (facts/cloud-run.md section 7)."""
        details = self.error.get("details")
        reasons = [d.get("reason") for d in details or () if isinstance(d, dict)]
        return self.status == 403 and ("SERVICE_DISABLED" in reasons or _UNUSED in self.message)


class OtherApis:
    """Asks each at Google's own address, or at the door that the loop file names.

    What answers at such a door need not be the API that is meant: see `are_googles`.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @property
    def are_googles(self) -> bool:
        """Whether Google itself answers."""
        return self._clients.door is None

    def get(self, api: str, path: str, stop: Stop) -> Answer | None:
        """`GET /path` of `api` as `secretmanager`; None where nobody answers HTTP with JSON."""
        return self._ask("GET", api, path, None, stop)

    def post(self, api: str, path: str, body: Mapping[str, Any], stop: Stop) -> Answer | None:
        """`POST /path`, for a method that changes nothing; None as of `get`."""
        return self._ask("POST", api, path, body, stop)

    def granted(self, api: str, resource: str, permissions: list[str], stop: Stop) -> Answer | None:
        """Which of these this account has on a resource; see `permissions_in`."""
        asked = {"permissions": permissions}
        return self.post(api, f"{resource}:testIamPermissions", asked, stop)

    def _ask(
        self, verb: str, api: str, path: str, body: Mapping[str, Any] | None, stop: Stop
    ) -> Answer | None:
        root = self._root(api)
        if root is None:
            return None
        try:
            with translated(f"ask {api}"):
                answer = self._clients.session.request(
                    verb,
                    f"{root}/{path}",
                    json=body,
                    timeout=stop.remaining(_CALL_S),
                    allow_redirects=False,
                )
                document = answer.json()
        except ApiError:
            stop.remaining(0)
            return None
        return Answer(answer.status_code, document) if isinstance(document, dict) else None

    def _root(self, api: str) -> str | None:
        door = self._clients.door
        if door is None:
            return f"https://{api}.googleapis.com"
        # gRPC without TLS is spoken at a port that understands nothing else.
        return None if door.plain and self._clients.place.transport == "grpc" else door.url


def permissions_in(answer: Answer | None) -> frozenset[str] | None:
    """The permissions that an answer grants, None where it is no such answer."""
    if answer is None or answer.status != 200 or answer.document.keys() - {"permissions"}:
        return None
    told = answer.document.get("permissions", [])
    return frozenset(map(str, told)) if isinstance(told, list) else None
