"""The methods over gRPC, on a port without TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

import grpc  # type: ignore[import-untyped]
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status  # type: ignore[import-untyped]

from emulator.dispatch import Dispatcher
from emulator.faults import Drop
from emulator.grpc_relay import GrpcRelay
from emulator.rpc import Call, Rpc, RpcFault, StreamRpc

_OPTIONS: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]
# A tail of the log and a wait for an operation each hold one for as long as they last.
_THREADS: Final = 48


class GrpcServer:
    """Answers on `port` of 127.0.0.1, through a relay whose connections can be cut."""

    def __init__(self, dispatcher: Dispatcher, port: int = 0) -> None:
        self._dispatcher = dispatcher
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="emulator-grpc")
        self._server = grpc.server(self._pool, options=_OPTIONS)
        for handler in self._handlers():
            self._server.add_generic_rpc_handlers((handler,))
        inner = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._relay = GrpcRelay(inner, port)
        self.port = self._relay.port

    def close(self) -> None:
        self._relay.close()
        self._server.stop(grace=None).wait()
        self._pool.shutdown()

    def _handlers(self) -> Iterator[Any]:
        by_service: dict[str, dict[str, Any]] = {}
        for rpc in self._dispatcher.rpcs:
            made = self._unary(rpc) if isinstance(rpc, Rpc) else self._stream(rpc)
            by_service.setdefault(rpc.service, {})[rpc.method] = made
        for service, methods in by_service.items():
            yield grpc.method_handlers_generic_handler(service, methods)

    def _unary(self, rpc: Rpc) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            call = _call(rpc, context)
            answer = lambda: self._dispatcher.answer(rpc, request, call, "grpc")  # noqa: E731
            return self._told(answer, context)

        return grpc.unary_unary_rpc_method_handler(
            handle, rpc.request.FromString, lambda answer: answer.SerializeToString()
        )

    def _stream(self, rpc: StreamRpc) -> Any:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            call = _call(rpc, context)
            try:
                self._dispatcher.admit(call, "grpc")
                yield from rpc.handle(requests, call, context.is_active)
            except RpcFault as fault:
                abort(context, fault)
            except Drop:
                self._drop(context)

        return grpc.stream_stream_rpc_method_handler(
            handle, rpc.request.FromString, lambda answer: answer.SerializeToString()
        )

    def _told(self, answer: Callable[[], Any], context: grpc.ServicerContext) -> Any:
        try:
            return answer()
        except RpcFault as fault:
            abort(context, fault)
        except Drop:
            self._drop(context)

    def _drop(self, context: grpc.ServicerContext) -> NoReturn:
        self._relay.drop(context.peer())
        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        raise AssertionError("gRPC's abort raises")


def _call(rpc: Rpc | StreamRpc, context: grpc.ServicerContext) -> Call:
    headers = {key: str(value) for key, value in context.invocation_metadata()}
    return Call(rpc.service, rpc.method, headers)


def abort(context: grpc.ServicerContext, fault: RpcFault) -> NoReturn:
    """End the call with the fault's status and its details."""
    status = status_pb2.Status(code=code_pb2.Code.Value(fault.code.name), message=fault.message)
    for detail in fault.details:
        status.details.add().Pack(detail)
    context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("gRPC's abort raises")
