"""Waiting, threads and child processes: the only room that starts either of the last two."""

from loopctl.process.child import SIGNAL_LADDER, Child, OnBytes, capture
from loopctl.process.detached import Detached, terminate
from loopctl.process.exchange import certificates, innermost_reason, origin
from loopctl.process.identity import Exit, ProcessId, identify, is_alive, signal_name
from loopctl.process.scope import TaskScope, in_parallel, in_time
from loopctl.process.stop import FOREVER, Stop, utc_now
from loopctl.process.watched import Watched

__all__ = [
    "FOREVER",
    "SIGNAL_LADDER",
    "Child",
    "Detached",
    "Exit",
    "OnBytes",
    "ProcessId",
    "Stop",
    "TaskScope",
    "Watched",
    "capture",
    "certificates",
    "identify",
    "in_parallel",
    "in_time",
    "innermost_reason",
    "is_alive",
    "origin",
    "signal_name",
    "terminate",
    "utc_now",
]
