"""Pages of log entries, over gRPC or REST, each asked for when the one before it is used up.

A page may be empty and carry a token all the same; an entry whose payload is of an unknown type
breaks no page: facts/cloud-run.md sections 4 and 5.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from loopctl.platforms.cloud_run.clients import Clients
from loopctl.platforms.cloud_run.errors import TRANSIENT, ApiError, Code, translated
from loopctl.platforms.cloud_run.quota import QuotaSpent, ReadQuota, is_quota
from loopctl.process import Stop

Page = tuple[Sequence[Any], str]
"""Entries as protobuf messages, and the token of the next page, empty at the end."""

_PAGE: Final = 1000
_TIMEOUT_S: Final = 10.0
_LONGEST_S: Final = 60.0
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.25
_DOING: Final = "read the logs"


class LogReader:
    """Reads what a query asks for, oldest first as a rule. Safe to share by threads.

    `poll`: it is done again and again, and is left out where the budget is short.
    """

    def __init__(self, clients: Clients, quota: ReadQuota, *, poll: bool = False) -> None:
        self._clients = clients
        self._quota = quota
        self._poll = poll
        rest = clients.place.transport == "rest"
        self._ask: Callable[[dict[str, Any], float], Page] = self._by_rest if rest else self._rpc

    def pages(
        self, query: str, stop: Stop, spare: int = 0, *, newest_first: bool = False
    ) -> Iterator[Sequence[Any]]:
        """Its pages, empty ones too. Raises `ApiError`, `PlatformError`, `Stopped`.

        What may pass is tried again; a budget that is spent is waited for, as long as `stop` lets.
        `spare` reads of it are left to what matters more.
        """
        request = {
            "resource_names": [f"projects/{self._clients.place.project}"],
            "filter": query,
            "order_by": "timestamp desc" if newest_first else "timestamp asc",
            "page_size": _PAGE,
        }
        while True:
            entries, token = self._page(request, stop, spare)
            yield entries
            if not token:
                return
            request = {**request, "page_token": token}

    def _page(self, request: dict[str, Any], stop: Stop, spare: int) -> Page:
        tries, pause_s, timeout_s = 0, _FIRST_PAUSE_S, _TIMEOUT_S
        while True:
            if self._poll:
                self._quota.poll(stop)
            else:
                self._quota.take(stop, spare)
            try:
                page = self._ask(request, stop.remaining(timeout_s))
            except ApiError as error:
                if is_quota(error):
                    self._quota.refused(error)
                    if self._poll:
                        raise QuotaSpent from None
                    continue
                tries += 1
                if error.code not in TRANSIENT or tries >= _TRIES:
                    raise
                if error.code is Code.DEADLINE_EXCEEDED:
                    timeout_s = min(2 * timeout_s, _LONGEST_S)
                stop.wait(pause_s)
                pause_s *= 2
            else:
                self._quota.granted()
                return page

    def _rpc(self, request: dict[str, Any], timeout_s: float) -> Page:
        with translated(_DOING):
            pager = self._clients.logging.list_log_entries(
                request=request, retry=None, timeout=timeout_s
            )
            response = next(iter(pager.pages))
        message = type(response).pb(response)
        return message.entries, message.next_page_token

    def _by_rest(self, request: dict[str, Any], timeout_s: float) -> Page:
        import google.api_core.exceptions as api  # noqa: PLC0415

        url = f"{self._clients.logging_url}/v2/entries:list"
        session = self._clients.session
        with translated(_DOING):
            answer = session.post(url, json=_in_json(request), timeout=timeout_s)
            if not 200 <= answer.status_code < 300:
                fault = api.from_http_response(answer)
                fault.message = str(fault.message).removeprefix(f"POST {url}: ")
                raise fault
            document = answer.json()
        if not isinstance(document, dict):
            raise ApiError(Code.UNKNOWN, "the answer is no JSON object", doing=_DOING)
        entries = [parsed(each) for each in document.get("entries") or ()]
        return entries, str(document.get("nextPageToken") or "")


def _in_json(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names of the fields as JSON has them."""
    words = {name: name.split("_") for name in request}
    return {
        first + "".join(map(str.capitalize, others)): request[name]
        for name, (first, *others) in words.items()
    }


def parsed(document: dict[str, Any]) -> Any:
    """An entry out of JSON; without its payload where that is of a type nobody here knows."""
    from google.cloud.audit import audit_log_pb2  # noqa: F401, PLC0415 - makes the type known
    from google.cloud.logging_v2.types import LogEntry  # noqa: PLC0415
    from google.protobuf import json_format  # noqa: PLC0415

    payload = document.get("protoPayload")
    if isinstance(payload, dict):
        document = {**document, "protoPayload": _of_interest(payload)}
    with contextlib.suppress(json_format.ParseError, TypeError):
        return json_format.ParseDict(document, LogEntry.pb()(), ignore_unknown_fields=True)
    entry = LogEntry.pb()()
    rest = {name: value for name, value in document.items() if name != "protoPayload"}
    with contextlib.suppress(json_format.ParseError, TypeError):
        json_format.ParseDict(rest, entry, ignore_unknown_fields=True)
    if isinstance(payload, dict):
        entry.proto_payload.type_url = str(payload.get("@type", ""))
    return entry


def _of_interest(payload: dict[str, Any]) -> dict[str, Any]:
    """Of an audit entry what is read of it: other fields may hold types that nobody here knows."""
    if not str(payload.get("@type", "")).endswith(".AuditLog"):
        return payload
    kept = {name: payload.get(name, "") for name in ("@type", "methodName", "resourceName")}
    status = payload.get("status")
    if isinstance(status, dict):
        kept["status"] = {name: status[name] for name in ("code", "message") if name in status}
    return kept
