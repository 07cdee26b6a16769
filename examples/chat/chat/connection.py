"""One TCP connection: HTTP/1.1 with keep-alive, until it closes or becomes a WebSocket."""

import asyncio

import h11

from chat.web import Request, Response, refusal

LARGEST_BODY = 64 * 1024
_LARGEST_HEAD = 16 * 1024
_IDLE_SECONDS = 75.0
_REQUEST_SECONDS = 15.0


class BodyTooLarge(Exception):
    """The request's body is larger than this service reads."""


class HttpConnection:
    """Reads requests and writes answers; keeps the raw head for a WebSocket handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.idle = True
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._raw = b""
        self._head_only = False

    @property
    def handshake(self) -> bytes:
        """Every byte of the current request, as a WebSocket library wants to parse it again."""
        return self._raw

    async def next_request(self) -> Request | None:
        """The next request, or None when the client is done or spoke no HTTP that we can read."""
        self.idle = True
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                head = await self._event()
            if not isinstance(head, h11.Request):
                return None
            async with asyncio.timeout(_REQUEST_SECONDS):
                return await self._complete(head)
        except h11.RemoteProtocolError as error:
            await self._refuse(refusal(400, str(error)))
        except BodyTooLarge:
            await self._refuse(refusal(413, f"a body may have {LARGEST_BODY} bytes"))
        except TimeoutError:
            pass
        return None

    async def send(self, response: Response, close: bool) -> bool:
        """Write an answer; returns whether the connection can carry another request."""
        body = response.encoded()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **response.headers,
        }
        if close:
            headers["Connection"] = "close"
        head = h11.Response(status_code=response.status, headers=list(headers.items()))
        data = h11.Data(data=b"" if self._head_only else body)
        for event in (head, data, h11.EndOfMessage()):
            self.writer.write(self._http.send(event) or b"")
        await self.writer.drain()
        if self._http.our_state is h11.MUST_CLOSE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._raw = self._http.trailing_data[0]
        return True

    async def _complete(self, head: h11.Request) -> Request:
        self._head_only = head.method == b"HEAD"
        # The whole body is read before it is answered, or keep-alive would lose its place.
        body = bytearray()
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        request = Request(head.method.decode("ascii"), head.target.decode("latin-1"), headers)
        if request.wants_websocket:
            return request
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise BodyTooLarge
        return Request(request.method, request.target, headers, bytes(body))

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self.reader.read(65536)
            self.idle = False
            self._raw += data
            self._http.receive_data(data)
        self.idle = False
        return event

    async def _refuse(self, response: Response) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.send(response, close=True)
