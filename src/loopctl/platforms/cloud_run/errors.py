"""What Google's clients raise, as this platform's own error.

Classes and details: facts/cloud-run.md sections 5 (9, 11, 12, 19) and 7.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import google.api_core.exceptions as api
import google.auth.exceptions
import requests.exceptions
from google.protobuf import json_format

from loopctl.inert import one_line
from loopctl.platforms.cloud_run.credentials import LOG_IN
from loopctl.ports.platform import PlatformError

_LONGEST: Final = 500
_CUT: Final = "the connection was cut before the answer came"
_ASKED: Final = re.compile(r"^(?:GET|POST|PATCH|DELETE) \S+: ")
"""What the clients put before a server's text when it came over REST."""


class Code(StrEnum):
    """The statuses that are told apart; all others are `UNKNOWN`."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNKNOWN = "UNKNOWN"


TRANSIENT: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL})
"""What another try may mend; of a write it says nothing: it may have been done."""


class ApiError(PlatformError):
    """A call that did not come to a good end. `text` is the server's own, in one line.

    `reason` and `metadata` are of its ErrorInfo, where it sent one; `fields` of its BadRequest:
    the field and what is wrong with it.
    """

    def __init__(
        self,
        code: Code,
        text: str,
        *,
        doing: str,
        where: str | None = None,
        hint: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        told = "; ".join(f"{field}: {wrong}" for field, wrong in fields) or text
        super().__init__(f"cannot {doing}: {told}", where=where, hint=hint)
        self.code = code
        self.text = text
        self.reason = reason
        self.metadata = metadata or {}
        self.fields = fields

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may have been done all the same: look before anything is sent again."""
        return self.code in TRANSIENT or self.code is Code.UNKNOWN


@contextlib.contextmanager
def translated(doing: str, where: str | None = None) -> Iterator[None]:
    """Everything that Google's clients raise becomes an `ApiError`: `cannot DOING: …`."""
    try:
        yield
    except api.RetryError as error:
        raise ApiError(Code.UNAVAILABLE, _text(error), doing=doing, where=where) from None
    except api.GoogleAPICallError as error:
        raise _of_call(error, doing, where) from None
    except api.GoogleAPIError as error:
        raise ApiError(Code.UNKNOWN, _text(error), doing=doing, where=where) from None
    except google.auth.exceptions.GoogleAuthError as error:
        raise ApiError(
            Code.UNAUTHENTICATED,
            f"the credentials are refused: {_text(error)}",
            doing=doing,
            where=where,
            hint=LOG_IN,
        ) from None
    except json_format.ParseError as error:
        # Of a write it says that it was taken: its outcome is looked for.
        raise ApiError(Code.UNKNOWN, _text(error), doing=doing, where=where) from None
    except (requests.exceptions.RequestException, OSError) as error:
        # What REST is carried by raises its own; a connection that was cut is one of them.
        late = isinstance(error, requests.exceptions.Timeout | TimeoutError)
        code = Code.DEADLINE_EXCEEDED if late else Code.UNAVAILABLE
        raise ApiError(code, _carried(error), doing=doing, where=where) from None


def _carried(error: BaseException) -> str:
    """What went wrong on the way, in words: of a cut connection `requests` tells Python's own."""
    text = _text(error)
    return _CUT if "Connection aborted" in text else text


def _of_call(error: api.GoogleAPICallError, doing: str, where: str | None) -> ApiError:
    return ApiError(
        _code(error),
        one_line(_ASKED.sub("", str(error.message or error)), limit=_LONGEST),
        doing=doing,
        where=where,
        reason=error.reason,
        metadata=dict(error.metadata or {}),
        fields=tuple(_fields(error)),
    )


_BY_HTTP: Final = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_BY_CLASS: Final = (
    (api.AlreadyExists, Code.ALREADY_EXISTS),
    (api.Aborted, Code.ABORTED),
    (api.FailedPrecondition, Code.FAILED_PRECONDITION),
)


def _code(error: api.GoogleAPICallError) -> Code:
    """The status: gRPC's where it was gRPC, else by class and by HTTP's number.

    REST tells no two statuses of one HTTP number apart but in the body, whose `status` the client
    drops: of a 409 and a 400 the text decides.
    """
    name = str(getattr(error.grpc_status_code, "name", ""))
    if name in Code.__members__:
        return Code[name]
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    number = int(error.code) if error.code is not None else 0
    text = str(error.message or "")
    if number == 409 and "already exists" in text:
        return Code.ALREADY_EXISTS
    return _BY_HTTP.get(number, Code.UNKNOWN)


def _fields(error: api.GoogleAPICallError) -> Iterator[tuple[str, str]]:
    for detail in error.details or ():
        # Over gRPC details are messages, over REST their JSON.
        told = getattr(detail, "field_violations", None)
        if isinstance(detail, dict):
            told = detail.get("fieldViolations")
        for each in told or ():
            if isinstance(each, dict):
                field, wrong = each.get("field", ""), each.get("description", "")
            else:
                field, wrong = each.field, each.description
            yield one_line(str(field), limit=200), one_line(str(wrong), limit=_LONGEST)


def _text(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__, limit=_LONGEST)
