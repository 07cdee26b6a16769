"""What each path answers."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable

from chat.accounts import AccountRefused, Accounts
from chat.agent import AGENTS
from chat.faults import Fault
from chat.logs import pairs
from chat.messages import Messages
from chat.settings import Settings
from chat.tokens import LIFETIME_SECONDS, TokenRefused, Tokens
from chat.web import BadRequest, Request, Response, refusal

Handler = Callable[[Request], Awaitable[Response]]
_LONGEST_LOGGED_PATH = 200
_log = logging.getLogger(__name__)


class Routes:
    """Turns a request into its answer and logs one line for it."""

    def __init__(self, settings: Settings, messages: Messages, fault: Fault) -> None:
        self._revision = settings.revision
        self._tokens = Tokens(settings.jwt_secret)
        self._accounts = Accounts()
        self._messages = messages
        self._fault = fault
        self._table: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self._health},
            "/signup": {"POST": self._signup},
            "/login": {"POST": self._login},
            "/agents": {"GET": self._agents},
            "/messages": {"GET": self._list, "POST": self._store},
            "/ws": {"GET": self._plain_ws},
            "/ws/guest": {"GET": self._plain_ws},
        }

    async def answer(self, request: Request) -> Response:
        """The answer to one request; never raises."""
        started = time.monotonic()
        try:
            response = await self._fault.answer(request) or await self._dispatch(request)
        except Exception:  # a bug in one handler must not take the connection's task with it
            _log.exception("unhandled error %s", pairs(path=request.path))
            response = refusal(500, "internal error")
        log_answer(request, response.status, started)
        return response

    async def admit(self, request: Request) -> str | Response:
        """The user behind a WebSocket handshake, or the answer that turns it away."""
        if overruled := await self._fault.answer(request):
            return overruled
        if request.path == "/ws/guest":
            return f"guest-{uuid.uuid4().hex}"
        if request.path != "/ws":
            return refusal(404, "no WebSocket here; it is at /ws, for guests at /ws/guest")
        return self._user(request)

    async def _dispatch(self, request: Request) -> Response:
        methods = self._table.get(request.path)
        if methods is None:
            return refusal(404, "no such path")
        handler = methods.get(request.method)
        if handler is None:
            return refusal(405, f"{request.method} is not allowed here", Allow=", ".join(methods))
        try:
            return await handler(request)
        except BadRequest as error:
            return refusal(400, str(error))

    def _user(self, request: Request) -> str | Response:
        token = request.token()
        if token is None:
            return refusal(401, "a bearer token is required", **{"WWW-Authenticate": "Bearer"})
        try:
            return self._tokens.user(token)
        except TokenRefused as error:
            return refusal(401, str(error), **{"WWW-Authenticate": "Bearer"})

    async def _health(self, _request: Request) -> Response:
        return Response(200, {"status": "healthy", "revision": self._revision})

    async def _signup(self, request: Request) -> Response:
        user, password = request.text_fields("user", "password")
        try:
            await self._accounts.sign_up(user, password)
        except AccountRefused as error:
            return refusal(409 if error.taken else 400, str(error))
        return Response(201, {"user": user})

    async def _login(self, request: Request) -> Response:
        user, password = request.text_fields("user", "password")
        if not await self._accounts.knows(user, password):
            return refusal(401, "wrong user name or password")
        return Response(200, {"token": self._tokens.issue(user), "expires_in": LIFETIME_SECONDS})

    async def _agents(self, _request: Request) -> Response:
        return Response(200, {"agents": AGENTS})

    async def _list(self, request: Request) -> Response:
        user = self._user(request)
        if isinstance(user, Response):
            return user
        return Response(200, {"messages": self._messages.of(user)})

    async def _store(self, request: Request) -> Response:
        user = self._user(request)
        if isinstance(user, Response):
            return user
        (content,) = request.text_fields("content")
        if not content.strip():
            return refusal(400, "the content is empty")
        message = self._messages.add(user, "user", content)
        return Response(201, {"id": message.id, "content": message.content})

    async def _plain_ws(self, _request: Request) -> Response:
        return refusal(426, "this is a WebSocket", Upgrade="websocket")


def log_answer(request: Request, status: int, started: float) -> None:
    """One line per request; `started` is time.monotonic()."""
    details = pairs(
        method=request.method,
        path=request.path[:_LONGEST_LOGGED_PATH],
        status=status,
        latency_ms=round((time.monotonic() - started) * 1000, 1),
        trace=request.headers.get("traceparent", "-"),
    )
    _log.log(logging.ERROR if status >= 500 else logging.INFO, "request %s", details)
