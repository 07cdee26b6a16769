"""Ways to break the service on purpose, chosen by FAULT, each as it once broke for real.

The service asks the active Fault at a few points; the plain `Fault` changes nothing there.
"""

import asyncio
import logging
import os
import sys

from chat.web import Request, Response, refusal

_log = logging.getLogger(__name__)
Event = dict[str, object]


class Fault:
    """No fault at all; the faults below override what they break."""

    def at_start(self) -> None:
        """Before the service listens."""

    def listen_on(self, port: int) -> int:
        """The port to listen on, given the one the service was told; 0 for any."""
        return port

    async def answer(self, _request: Request) -> Response | None:
        """An answer in the service's place, or None to let it answer."""
        return None

    def close_socket(self, _open_sockets: int) -> tuple[int, str] | None:
        """Code and reason to close a new socket with, or None to let it live."""
        return None

    def wrap(self, event: Event) -> Event:
        """The event as it is sent."""
        return event


class Exit3(Fault):
    """The container starts and exits with 3."""

    def at_start(self) -> None:
        """Give up, as servers do whose start-up hook raised."""
        _log.error("Application startup failed: the agent registry is empty. Exiting.")
        raise SystemExit(3)


class BuiltAtImport(Fault):
    """Something is built while modules are still being imported."""

    def __init__(self) -> None:
        raise RuntimeError(
            "WebSocket manager creation requires valid UserExecutionContext. "
            "Import-time initialization is prohibited."
        )


class WrongPort(Fault):
    """PORT is ignored."""

    def listen_on(self, port: int) -> int:
        """Any free port: a fixed one could be taken, and that would be another fault."""
        return 0


class Health307(Fault):
    """A redirect to HTTPS that does not spare the health check."""

    async def answer(self, request: Request) -> Response | None:
        """Send health checks elsewhere."""
        if request.path != "/health":
            return None
        host = request.headers.get("host", "localhost")
        return Response(307, {"error": "use https"}, {"Location": f"https://{host}/health"})


class UnavailableAfterHealthy(Fault):
    """Healthy for two seconds after its first healthy answer, then 503 on everything."""

    healthy_seconds = 2.0

    def __init__(self) -> None:
        self._asked = False
        self._down = False

    async def answer(self, request: Request) -> Response | None:
        """Start the clock at the first health check; refuse everything once it has run out."""
        if self._down:
            return refusal(503, "service unavailable: the message store is gone")
        if request.path == "/health" and not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_later(self.healthy_seconds, self._fall)
        return None

    def _fall(self) -> None:
        self._down = True
        _log.error("lost the connection to the message store; answering 503 from now on")


class CloseAtOnce(Fault):
    """Sockets are accepted and closed in good order, with nothing said."""

    def close_socket(self, _open_sockets: int) -> tuple[int, str] | None:
        """Close as the incident's log shows it."""
        _log.warning("websocket manager: main cleanup closes a live socket (1000)")
        return 1000, "main cleanup"


class CloseSecond(Fault):
    """One socket works, a second one at the same time does not."""

    def close_socket(self, open_sockets: int) -> tuple[int, str] | None:
        """Close every socket that is not alone."""
        if open_sockets < 2:
            return None
        _log.error(
            "Factory SSOT validation failed: %s sockets share one WebSocket manager", open_sockets
        )
        return 1011, "Factory SSOT validation failed"


class MessageWrapper(Fault):
    """A breaking change of the protocol: every event arrives inside a system_message."""

    def wrap(self, event: Event) -> Event:
        """Hide the event's type a level deeper."""
        inner = {key: value for key, value in event.items() if key != "type"}
        return {"type": "system_message", "data": {"event": event["type"], **inner}}


class Slow(Fault):
    """Every answer takes its time."""

    seconds = 4.0

    async def answer(self, request: Request) -> Response | None:
        """Wait, then let the service answer."""
        await asyncio.sleep(self.seconds)
        _log.warning("slow answer: %s took over %.0f ms", request.path, self.seconds * 1000)
        return None


class MissingConfig(Fault):
    """A variable that staging needs was never set."""

    def at_start(self) -> None:
        """Name the variable, never a value."""
        _log.error(
            "JWT_SECRET_STAGING validation failed: "
            "JWT_SECRET_STAGING required in staging environment"
        )
        raise SystemExit(1)


FAULTS: dict[str, type[Fault]] = {
    "exit-3": Exit3,
    "import-error": BuiltAtImport,
    "wrong-port": WrongPort,
    "health-307": Health307,
    "503-after-healthy": UnavailableAfterHealthy,
    "ws-1000": CloseAtOnce,
    "ws-1011": CloseSecond,
    "message-wrapper": MessageWrapper,
    "slow": Slow,
    "missing-config": MissingConfig,
}


def choose(name: str) -> Fault:
    """The fault of that name, none for an empty one; ends the process for an unknown one."""
    if not name:
        return Fault()
    if name not in FAULTS:
        print(f"FAULT={name!r} is not known; choose one of: {', '.join(FAULTS)}", file=sys.stderr)
        raise SystemExit(2)
    return FAULTS[name]()


# At import on purpose: import-error has to strike where the real one did.
ACTIVE = choose(os.environ.get("FAULT", ""))
