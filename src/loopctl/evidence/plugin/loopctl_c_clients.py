"""Clients whose sockets live in C: hooks in the Python above them, so that they are looked at.

grpc, pycurl and uvloop open and close sockets without any audit event. These hooks look for them
while they are open, and put the test's trace id into grpc's metadata. A neighbour of
`loopctl_evidence.py`: standard library only, Python >= 3.8. The clients are of unknown versions,
so their objects are `Any`. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from loopctl_guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopctl_connections import Connections
    from loopctl_patches import Wrapper

# request, timeout, metadata: in every one of grpc's calls but those of `grpc.aio` with one argument
_METADATA_AT = 2
_SYNC_CALLS = (
    ("_UnaryUnaryMultiCallable", ("_blocking", "future")),
    ("_UnaryStreamMultiCallable", ("__call__",)),
    ("_SingleThreadedUnaryStreamMultiCallable", ("__call__",)),
    ("_StreamUnaryMultiCallable", ("_blocking", "future")),
    ("_StreamStreamMultiCallable", ("__call__",)),
)
_AIO_CALLS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


class CClients:
    """Hooks for C clients.

    `connections` are those of this process, to be looked at and told of. `header(host, port, own)`
    is the traceparent to send, None for none.
    """

    def __init__(
        self, connections: Connections, header: Callable[[str, int, object], str | None]
    ) -> None:
        self._connections, self._header = connections, header

    def hooks(self) -> list[tuple[str, Wrapper]]:
        """Where to hook, as `module:attribute`, and what to put around it."""
        sync, aio = "grpc._channel:", "grpc.aio._channel:"
        found: list[tuple[str, Wrapper]] = [
            (f"{sync}{kind}.{name}", self._call) for kind, names in _SYNC_CALLS for name in names
        ]
        found += [(f"{aio}{kind}MultiCallable.__call__", self._call) for kind in _AIO_CALLS]
        return [
            *found,
            (sync + "Channel._close", self._looking_before),
            (aio + "Channel.__init__", self._naming),
            (aio + "Channel._close", self._looking_before),
            ("pycurl:Curl", self._curl),
            ("uvloop:Loop.create_connection", self._connecting),
            ("asyncio.streams:StreamWriter.close", self._looking_before),
            ("anyio._backends._asyncio:SocketStream.aclose", self._looking_before),
        ]

    # grpc

    def _call(self, original: Any) -> Any:
        def call(callable_: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            traced = self._metadata(callable_, args, kwargs)
            if traced is not None:
                args, kwargs = traced
            made = None
            try:
                made = original(callable_, *args, **kwargs)
            finally:
                self._called(callable_, made)
            return made

        return call

    @guarded
    def _called(self, callable_: Any, made: Any) -> None:
        stream = made if hasattr(made, "done") else None
        self._connections.called(_grpc_address(callable_)[1], stream)

    @guarded
    def _metadata(self, callable_: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """The arguments of a call with the trace id in its metadata; None to leave them."""
        host, port = _grpc_address(callable_)
        positional = len(args) > _METADATA_AT
        given = args[_METADATA_AT] if positional else kwargs.get("metadata")
        pairs = [(each[0], each[1]) for each in given or ()]
        own = next((value for key, value in pairs if key.lower() == "traceparent"), None)
        header = self._header(host, port, own)
        if header is None:
            return None
        # A list of pairs is what every version takes, also where it has a type of its own.
        pairs.append(("traceparent", header))
        metadata = tuple(pairs)
        if positional:
            return (*args[:_METADATA_AT], metadata, *args[_METADATA_AT + 1 :]), kwargs
        return args, dict(kwargs, metadata=metadata)

    def _naming(self, original: Any) -> Any:
        def init(channel: Any, target: Any, *args: Any, **kwargs: Any) -> None:
            channel._loopctl_target = target
            original(channel, target, *args, **kwargs)

        return init

    # pycurl

    def _curl(self, original: Any) -> Any:
        """A subclass, because the type itself takes no attribute."""
        seen = self._performed

        class Curl(original):  # type: ignore[misc] # of another version in every interpreter
            def perform(self) -> Any:
                try:
                    return super().perform()
                finally:
                    seen(self)

            def perform_rb(self) -> Any:
                try:
                    return super().perform_rb()
                finally:
                    seen(self)

            def perform_rs(self) -> Any:
                try:
                    return super().perform_rs()
                finally:
                    seen(self)

        Curl.__qualname__, Curl.__doc__ = original.__qualname__, original.__doc__
        return Curl

    @guarded
    def _performed(self, curl: Any) -> None:
        """Read what libcurl kept of its last transfer, whose socket may be closed by now."""
        import pycurl  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 - there is one

        self._connections.look()
        names = "PRIMARY_IP PRIMARY_PORT LOCAL_PORT REQUEST_SIZE SIZE_UPLOAD HEADER_SIZE"
        # Some of them warn where they have a successor, whose name ends in `_T`.
        wanted = [name + "_T" * hasattr(pycurl, name + "_T") for name in names.split()]
        wanted.append("SIZE_DOWNLOAD" + "_T" * hasattr(pycurl, "SIZE_DOWNLOAD_T"))
        ip, port, local, *sizes = (curl.getinfo(getattr(pycurl, name)) for name in wanted)
        if ip and local > 0:
            out, up, headers, down = (int(size) for size in sizes)
            self._connections.told((ip, int(port)), int(local), out + up, headers + down)

    # uvloop

    def _connecting(self, original: Any) -> Any:
        async def create_connection(loop: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            made = await original(loop, *args, **kwargs)
            self._made(made[0])
            return made

        return create_connection

    @guarded
    def _made(self, transport: Any) -> None:
        sock, peer = (transport.get_extra_info(name) for name in ("socket", "peername"))
        if sock is not None and isinstance(peer, tuple):
            self._connections.opened(sock.fileno(), peer)

    def _looking_before(self, original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            self._connections.look()
            return original(*args, **kwargs)

        return call


def _grpc_address(callable_: Any) -> tuple[str, int]:
    """The host and port of a call's channel; see grpc's naming.md for how a target is written."""
    target = getattr(callable_, "_target", None)
    if target is None and getattr(callable_, "_references", None):
        target = getattr(callable_._references[0], "_loopctl_target", None)
    if target is None:
        target = callable_._channel.target()
    text = target.decode("ascii", "replace") if isinstance(target, bytes) else str(target)
    scheme, colon, rest = text.partition(":")
    if colon and scheme in ("dns", "ipv4", "ipv6"):
        text = rest.rpartition("/")[2].partition(",")[0]
    parts = urlsplit("//" + text)
    return parts.hostname or "", parts.port or 443
