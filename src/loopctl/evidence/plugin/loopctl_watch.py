"""All that is watched of this process while pytest runs in it.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from loopctl_c_clients import CClients
from loopctl_children import Children
from loopctl_connections import Connections
from loopctl_guard import guarded
from loopctl_imports import Imports
from loopctl_mocks import Mocks
from loopctl_patches import Patches
from loopctl_phase import Current
from loopctl_sockets import Sockets
from loopctl_stand_in import StandIn
from loopctl_targets import Targets
from loopctl_traffic import Traffic
from loopctl_withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopctl_phase import Phase
    from loopctl_spool import Spool


class Watch:
    """The connections, requests, mocks and children of this process, watched from now on.

    `environ` is the environment that says what is watched for. What a phase is seen to do goes
    into `current.phase`.
    """

    def __init__(self, spool: Spool, environ: Mapping[str, str]) -> None:
        self._spool, self.current = spool, Current()
        targets = Targets(self._setting(environ, "LOOPCTL_TARGETS", {}))
        self.connections = Connections(targets)
        seen = (self.current, targets, self.connections)
        self.mocks = Mocks(self.current)
        stand_in = StandIn(self._setting(environ, "LOOPCTL_STAND_IN", {}))
        refuses = environ.get("LOOPCTL_REFUSE") == "1"
        self._withheld = Withheld(*seen, stand_in, refuses=refuses)
        receipts = environ.get("LOOPCTL_RECEIPTS", "on") != "off"
        health = self._setting(environ, "LOOPCTL_HEALTH_PATHS", [])
        traffic = Traffic(*seen, self.mocks, receipts=receipts, health_paths=health)
        self._children = Children(spool, *seen)
        self._patches = Patches()
        self._imports = self._hooked(targets, traffic)
        self._audits = self._audited()
        sys.addaudithook(self._audit)
        os.register_at_fork(after_in_child=self._forked)

    def _setting(self, environ: Mapping[str, str], name: str, default: Any) -> Any:
        try:
            return json.loads(environ.get(name) or "null") or default
        except ValueError as problem:
            self._spool.problem(name, problem)
            return default

    def _hooked(self, targets: Targets, traffic: Traffic) -> Imports:
        sockets = Sockets(targets, self.connections, self._withheld.led)
        hooks = (*traffic.hooks(), *self.mocks.hooks(), *self._children.hooks())
        hooks += (*CClients(self.connections, traffic.header).hooks(), *sockets.hooks())
        imports = Imports(self._patches, hooks)
        self.mocks.install(self._patches)
        sockets.install(self._patches, withholds=self._withheld.is_asked)
        imports.watch()
        return imports

    def _audited(self) -> dict[str, Callable[..., Any]]:
        """Who is told of which of Python's audit events."""
        started = self._children.started
        audits: dict[str, Callable[..., Any]] = {
            "socket.connect": self._connecting,
            "subprocess.Popen": lambda program, args, *_: started("Popen", args, program),
            "os.posix_spawn": lambda program, args, _env: started("posix_spawn", args, program),
            "os.exec": self._children.replaced,
            "os.system": lambda _command: started("system", (), "sh"),
            "os.fork": lambda: started("fork", (), sys.executable),
        }
        if self._withheld.is_asked:
            audits["socket.sendto"] = audits["socket.sendmsg"] = self._sending
        return audits

    def begin(self, phase: Phase) -> None:
        """This phase is at hand from now on."""
        self.current.phase = phase
        self.connections.begin(phase)
        if self._withheld.now():
            self.connections.shut()

    def end(self) -> None:
        """The phase at hand is over: it gets its contacts."""
        phase = self.current.phase
        if phase is not None:
            phase.running = False
            phase.contacts = self.connections.end()
            self.connections.leave_stand_in()

    def stop(self) -> None:
        """Watch nothing any more."""
        self._audits = {}
        self._imports.leave()
        self._patches.undo()

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        handler = self._audits.get(event)
        if handler is not None:
            refusal = guarded(handler)(*args)
            if refusal is not None:
                raise refusal

    def _forked(self) -> None:
        self._spool.reopen_in_child(is_of_test=self.current.running is not None)

    def _connecting(self, sock: Any, address: Any) -> OSError | None:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if sock.type != socket.SOCK_STREAM:
            return self._sending(sock, address) if self._withheld.is_asked else None
        if self._withheld.stand_in.is_at(address):
            return None  # led there, and told of as a connect to its target
        met = self.connections.opening(sock.fileno(), address)
        phase = self.current.phase
        if self._spool.forked and phase is not None:
            contact = {"target": met.target, "host": met.host, "port": met.address[1]}
            contact["via"] = "child"
            self._spool.emit("child-contact", id=phase.test, phase=phase.name, contact=contact)
        refusal = self._withheld.refusal(met.target)
        if refusal is not None:
            met.failed = "ECONNREFUSED"
        return refusal

    def _sending(self, sock: Any, address: Any) -> OSError | None:
        """Refuse a datagram (HTTP/3 is made of them) or a fast open, where a connect would be."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return None
        return self._withheld.refusal(self.connections.whom(str(address[0]), int(address[1]))[1])
