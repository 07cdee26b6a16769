"""Google's clients for one place, each made when it is first asked for.

Importing them takes half a second: this module is imported where an environment is on Cloud Run.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from loopctl.model.plan import CloudRunPlace
from loopctl.platforms.cloud_run.credentials import credentials_of
from loopctl.platforms.cloud_run.door import Door, door_of

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.run_v2 import RevisionsClient, ServicesClient

LOGGING: Final = "https://logging.googleapis.com"
_ANY_SIZE: Final = -1


class Clients:
    """The clients of a place. Safe to share by threads; `close` ends their connections.

    Everything raises `PlatformError` where there are no credentials.
    """

    def __init__(self, place: CloudRunPlace) -> None:
        self.place = place
        self._making = threading.RLock()
        self._made: dict[str, Any] = {}
        # Children of this process are no users of its channels, and its log is not a person's.
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    @functools.cached_property
    def door(self) -> Door | None:
        """The door that the loop file names, None for Google's own."""
        return door_of(self.place.endpoint)

    @property
    def credentials(self) -> Credentials:
        """Who asks."""
        return self._once("credentials", lambda: credentials_of(self.place, self.door))  # type: ignore[no-any-return]

    @property
    def services(self) -> ServicesClient:
        """Services, and the operations that their changes are."""
        return self._once("services", self._services)  # type: ignore[no-any-return]

    @property
    def revisions(self) -> RevisionsClient:
        """Revisions."""
        return self._once("revisions", self._revisions)  # type: ignore[no-any-return]

    @property
    def logging(self) -> LoggingServiceV2Client:
        """Cloud Logging over gRPC, which is all that its client speaks: see `session` for REST."""
        return self._once("logging", self._logging)  # type: ignore[no-any-return]

    @property
    def session(self) -> AuthorizedSession:
        """HTTP with the credentials: for APIs of which there is no client here."""
        return self._once("session", self._session)  # type: ignore[no-any-return]

    @property
    def logging_url(self) -> str:
        """The root of Cloud Logging over REST."""
        return self.door.url if self.door else LOGGING

    def close(self) -> None:
        """End what was opened; nothing where nothing was asked for."""
        with self._making:
            for name in ("services", "revisions", "logging"):
                if (client := self._made.pop(name, None)) is not None:
                    client.transport.close()
            for name in ("channel", "session"):
                if (opened := self._made.pop(name, None)) is not None:
                    opened.close()

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._making:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def _services(self) -> ServicesClient:
        from google.cloud.run_v2 import ServicesClient  # noqa: PLC0415
        from google.cloud.run_v2.services.services.transports import (  # noqa: PLC0415
            ServicesGrpcTransport,
            ServicesRestTransport,
        )

        return ServicesClient(
            transport=self._transport(ServicesGrpcTransport, ServicesRestTransport)
        )

    def _revisions(self) -> RevisionsClient:
        from google.cloud.run_v2 import RevisionsClient  # noqa: PLC0415
        from google.cloud.run_v2.services.revisions.transports import (  # noqa: PLC0415
            RevisionsGrpcTransport,
            RevisionsRestTransport,
        )

        return RevisionsClient(
            transport=self._transport(RevisionsGrpcTransport, RevisionsRestTransport)
        )

    def _logging(self) -> LoggingServiceV2Client:
        from google.cloud.logging_v2.services.logging_service_v2 import (  # noqa: PLC0415
            LoggingServiceV2Client,
        )
        from google.cloud.logging_v2.services.logging_service_v2.transports import (  # noqa: PLC0415
            LoggingServiceV2GrpcTransport,
        )

        return LoggingServiceV2Client(transport=self._grpc(LoggingServiceV2GrpcTransport))

    def _session(self) -> AuthorizedSession:
        from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

        session = AuthorizedSession(self.credentials)
        if self.door is not None and self.door.loopback:
            session.trust_env = False  # a proxy does not reach this machine's own services
        return session

    def _transport(self, grpc_type: Any, rest_type: Any) -> Any:
        if self.place.transport == "grpc":
            return self._grpc(grpc_type)
        scheme = {"url_scheme": "http"} if self.door and self.door.plain else {}
        host = {"host": self.door.host} if self.door else {}
        transport = rest_type(credentials=self.credentials, **host, **scheme)
        if self.door is not None and self.door.loopback:
            transport._session.trust_env = False  # no public name leads there
        return transport

    def _grpc(self, transport_type: Any) -> Any:
        if self.door is None:
            return transport_type(credentials=self.credentials)
        if self.door.plain:
            return transport_type(channel=self._once("channel", self._plain_channel))
        return transport_type(host=self.door.host, credentials=self.credentials)

    def _plain_channel(self) -> Any:
        """One channel for every API: an emulator's. Without the sizes a page of logs over 4 MiB
        fails as if a quota were used up; gRPC asks a proxy even for 127.0.0.1.
        """
        import grpc  # type: ignore[import-untyped] # noqa: PLC0415

        assert self.door is not None
        options = [
            ("grpc.max_receive_message_length", _ANY_SIZE),
            ("grpc.max_send_message_length", _ANY_SIZE),
        ]
        if self.door.loopback:
            options.append(("grpc.enable_http_proxy", 0))
        return grpc.insecure_channel(self.door.host, options=options)
