"""Why a request or a connection came to no answer, in words a person can act on."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

_ERRNO_IN_TEXT = re.compile(r"\[Errno (\d+)\]")
_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection aborted",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
    errno.EMFILE: "too many open files in loopctl (see `ulimit -n`)",
    errno.EADDRNOTAVAIL: "no free local port",
}


def network_reason(error: BaseException) -> str | None:
    """What the network or TLS said, found in an error of a client or in its causes."""
    for cause in causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"TLS: the certificate is not accepted: {cause.verify_message}"
            case ssl.SSLError():
                said = str(cause.reason or cause.args[-1])
                return f"TLS: {said.replace('_', ' ').lower()}"
            case socket.gaierror():
                return f"the name cannot be resolved: {cause.strerror}"
            case OSError() if (number := errno_of(cause)) is not None:
                return _WORDS.get(number) or cause.strerror or errno.errorcode.get(number)
            case _:
                continue
    return None


def errno_name(error: BaseException) -> str:
    """The errno's name, or the kind of error where there is none, for `Contact.failed`."""
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return "EAI_NONAME" if cause.errno == socket.EAI_NONAME else "EAI"
        if isinstance(cause, OSError) and (number := errno_of(cause)) is not None:
            return errno.errorcode.get(number, str(number))
    return type(error).__name__


def errno_of(error: OSError) -> int | None:
    """The number; of several errors in one, as asyncio raises them, the first one's."""
    if error.errno is not None:
        return error.errno
    told = _ERRNO_IN_TEXT.search(str(error))
    return int(told[1]) if told else None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that led to it, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        here = waiting.pop(0)
        if id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        inner = here.exceptions if isinstance(here, BaseExceptionGroup) else ()
        waiting.extend(filter(None, (here.__cause__, here.__context__, *inner)))
