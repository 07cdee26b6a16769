"""Cloud Logging's emulator behind a real gRPC server, and Google's own client in front of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import (
    LoggingServiceV2GrpcTransport,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import status_pb2
from grpc_status import rpc_status  # type: ignore[import-untyped]

from emulator.log_faults import LogFaults
from emulator.log_pages import Paging
from emulator.log_quota import ReadQuota
from emulator.log_rpcs import SERVICE, log_rpcs
from emulator.log_store import Entry, LogStore
from emulator.log_tail import Tails
from emulator.rpc import Call, Rpc, RpcFault, StreamRpc

PROJECT = "shop-staging"
NUMBER = "718293645001"
PARENT = f"projects/{PROJECT}"
STDOUT = f"{PARENT}/logs/run.googleapis.com%2Fstdout"
STDERR = f"{PARENT}/logs/run.googleapis.com%2Fstderr"
REQUESTS = f"{PARENT}/logs/run.googleapis.com%2Frequests"
SYSTEM = f"{PARENT}/logs/run.googleapis.com%2Fvarlog%2Fsystem"
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


@dataclass
class Rig:
    """A project's logs and how they are read; `client` speaks with them over a socket."""

    store: LogStore = field(default_factory=lambda: LogStore(PROJECT, number=NUMBER))
    faults: LogFaults = field(default_factory=LogFaults)
    quota: ReadQuota = field(default_factory=ReadQuota)
    paging: Paging = field(default_factory=Paging.full)
    tails: Tails = field(default_factory=lambda: Tails(window_s=0.05))
    client: Any = None

    def listed(self, filter_: str = "", **more: Any) -> list[Any]:
        """Every entry that a filter finds, over as many pages as it takes."""
        request = {"resource_names": [PARENT], "filter": filter_, **more}
        return list(self.client.list_log_entries(request, retry=None, timeout=10))

    def page(self, **request: Any) -> Any:
        """One page as the service answered it."""
        asked = {"resource_names": [PARENT], **request}
        pager = self.client.list_log_entries(asked, retry=None, timeout=10)
        return next(iter(pager.pages))


def entry(text: str = "", at: str = "", log: str = STDOUT, **fields: Any) -> Any:
    """A plain protobuf entry of a revision, at an RFC 3339 instant or now."""
    made = Entry(log_name=log, text_payload=text, **fields)
    if not made.HasField("resource"):
        made.resource.type = "cloud_run_revision"
        made.resource.labels.update(service_name="shop", revision_name="shop-00001-dhj")
    if at:
        made.timestamp.FromJsonString(at)
    return made


def serve(rig: Rig) -> Iterator[Rig]:
    """The rig with its server up and its client made, until the caller goes on."""
    rig.store.ingestion(0, 0)
    server = grpc.server(ThreadPoolExecutor(16, thread_name_prefix="logging"))
    handlers = {rpc.method: _handler(rpc) for rpc in _rpcs(rig)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:
        rig.client = LoggingServiceV2Client(
            transport=LoggingServiceV2GrpcTransport(channel=channel)
        )
        yield rig
    rig.faults.let_go()
    server.stop(0).wait()


def _rpcs(rig: Rig) -> list[Rpc | StreamRpc]:
    return log_rpcs(rig.store, rig.faults, rig.quota, rig.paging, rig.tails)


def _handler(rpc: Rpc | StreamRpc) -> Any:
    codec: dict[str, Any] = {
        "request_deserializer": rpc.request.FromString,
        "response_serializer": rpc.answer.SerializeToString,
    }
    call = Call(SERVICE, rpc.method)
    if isinstance(rpc, StreamRpc):
        stream = rpc

        def streamed(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            there = threading.Event()
            context.add_callback(there.set)
            try:
                yield from stream.handle(requests, call, lambda: not there.is_set())
            except RpcFault as fault:
                context.abort_with_status(_status(fault))

        return grpc.stream_stream_rpc_method_handler(streamed, **codec)
    unary = rpc

    def answered(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return unary.handle(request, call)
        except RpcFault as fault:
            context.abort_with_status(_status(fault))

    return grpc.unary_unary_rpc_method_handler(answered, **codec)


def _status(fault: RpcFault) -> Any:
    details = []
    for message in fault.details:
        packed = AnyMessage()
        packed.Pack(message)
        details.append(packed)
    return rpc_status.to_status(
        status_pb2.Status(code=fault.code.value[0], message=fault.message, details=details)
    )
