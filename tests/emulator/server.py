"""The emulator: everything together, for as long as a block lasts.

What it leaves out: a revision has one instance at most, which stays until the revision is deleted;
neither concurrency nor minimum and maximum of instances are looked at, nor liveness and readiness
probes, sidecars, volumes, HTTP/2 and jobs. Nobody is asked who they are, but at a private
service's URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from emulator.dispatch import Dispatcher, Recorded
from emulator.faults import Faults
from emulator.front_desk import FrontDesk
from emulator.grpc_server import GrpcServer
from emulator.log_faults import LogFaults
from emulator.log_quota import ReadQuota
from emulator.log_rpcs import log_rpcs
from emulator.log_store import LogStore
from emulator.quirks import Quirks
from emulator.rest import RestServer
from emulator.rpc import Rpc, StreamRpc
from emulator.run_changes import Changes
from emulator.run_deploy import Deployer
from emulator.run_entries import Entries
from emulator.run_fleet import Fleet
from emulator.run_names import Place
from emulator.run_operations import Operations
from emulator.run_reconcile import Reconciler
from emulator.run_revisions import Revisions
from emulator.run_runtime import Runtime
from emulator.run_secrets import Secrets
from emulator.run_services import Services
from emulator.run_state import State
from emulator.run_texts import project_number
from emulator.secret_rpcs import secret_rpcs


class Emulator:
    """Cloud Run in one region of a project, with its Cloud Logging, until the block ends.

    Then nothing of it is left.

    `runtime` is what revisions run in; their entries go to `logs`, and Cloud Logging answers from
    there. `more_rpcs` are served beside those of both. `time_scale` multiplies the times of
    startup probes and of requests. `pause_s` goes by between a write's answer and its effect.
    `keep_traces`: whether the entries of requests tell of their trace. `lingering`: a latest
    revision that failed keeps its service from being ready when only traffic is changed, as
    "success means that the latest ready revision is the latest created one" can be read.
    """

    def __init__(
        self,
        project: str = "p",
        region: str = "us-central1",
        *,
        runtime: Runtime,
        logs: LogStore | None = None,
        more_rpcs: Sequence[Rpc | StreamRpc] = (),
        time_scale: float = 1.0,
        pause_s: float = 0.05,
        keep_traces: bool = True,
        lingering: bool = False,
        grpc_port: int = 0,
        rest_port: int = 0,
    ) -> None:
        place = Place(project, region)
        self.faults = Faults()
        number = str(project_number(project))
        self.logs = logs if logs is not None else LogStore(project, number=number)
        self.log_faults = LogFaults()
        self.read_quota = ReadQuota()
        self.state = State(place)
        self.entries = Entries(place, self.logs)
        self.fleet = Fleet(place, runtime, self.entries, time_scale)
        self._runtime = runtime
        self._secrets = Secrets(project)
        deployer = Deployer(place, self.fleet, self._secrets, self.faults, self.entries)
        self._desk = FrontDesk(
            self.state, deployer, self.entries, self.faults, time_scale, keep_traces
        )
        logging = log_rpcs(self.logs, self.log_faults, self.read_quota)
        self._dispatcher = Dispatcher([*more_rpcs, *logging], self.faults)
        self._reconciler = Reconciler(
            self.state,
            deployer,
            self._desk.doors,
            self._dispatcher,
            pause_s,
            lingering=lingering,
        )
        self._dispatcher.rpcs.extend(secret_rpcs(self._secrets))
        changes = Changes(self.state, self._reconciler)
        for own in (
            Services(self.state, changes, self.faults),
            Revisions(self.state, changes),
            Operations(self.state),
        ):
            self._dispatcher.rpcs.extend(own.rpcs())
        self._ports = grpc_port, rest_port
        self._servers: list[GrpcServer | RestServer] = []

    def __enter__(self) -> Emulator:
        grpc_port, rest_port = self._ports
        self._servers.append(GrpcServer(self._dispatcher, grpc_port))
        self._servers.append(RestServer(self._dispatcher, rest_port))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every call, request, instance and thread, and give back the ports."""
        self._dispatcher.closing.set()
        self.log_faults.let_go()
        with self.state.changed:
            self.state.closing = True
            self.state.changed.notify_all()
        self.fleet.close()
        self._reconciler.close()
        self._desk.doors.close()
        for server in self._servers:
            server.close()
        self._runtime.close()

    @property
    def grpc_endpoint(self) -> str:
        """`http://127.0.0.1:PORT`, for a channel without TLS."""
        return f"http://127.0.0.1:{self._servers[0].port}"

    @property
    def rest_endpoint(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._servers[1].port}"

    @property
    def calls(self) -> list[Recorded]:
        """Every call of the API so far, in the order in which they came."""
        return list(self._dispatcher.calls)

    @property
    def quirks(self) -> Quirks:
        """In what its answers differ from what is usual here; may be changed at any time."""
        return self._dispatcher.quirks

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The values of secrets by name and version; to be filled in."""
        return self._secrets.values

    @property
    def secret_states(self) -> dict[tuple[str, str], str]:
        """`DISABLED` or `DESTROYED` by secret and version; to be filled in."""
        return self._secrets.states

    def make_private(self, service_id: str) -> None:
        """Only callers with a token for the service's URL reach it from now on."""
        self.state.invokers[service_id] = set()
