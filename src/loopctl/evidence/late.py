"""Whose a request is that the target recorded, told when all tests of a suite are known. Pure.

For records that come late, without the client's port. One with the trace id of a phase is that
phase's. The others are told apart as far as they can be, and prove nothing (`observed` at most):

- One with a trace id that tests chose themselves: of the phases that sent it, those within whose
  time it came and that are not known to have asked something else. Of one phase it is the record;
  where several are left, it may be any one's, and is no more than like a request of each.
- One without any: the phase must have asked just that (service, method, path, status) within that
  time, over a connection of its own that moved bytes. Two phases that can be meant, two clients
  that asked alike, or tests of another suite at the same time, and it is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from loopctl.evidence.seen import path_of
from loopctl.model.evidence import Case, HttpExchange, PhaseRecord, Receipt

_CLOCK_SLACK = timedelta(seconds=2)
"""How far the clocks of the test process and of the request log may differ."""

_Key = tuple[str, str, str, int]
"""Service, method, path and status of a request that was answered."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Receipts by the trace id of the phases they belong to.

    `unclear` says, by the trace id of a phase, why a request that may be its is not.
    """

    by_trace: Mapping[str, Sequence[Receipt]] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)


def awaited(cases: Iterable[Case], service: str, *, only: bool) -> frozenset[str]:
    """The trace ids that the service's record must hold: of calls that it has answered.

    Of others nobody knows whether they sent one. `only`: the suite meets no other service, so that
    a trace is its where the runner sees no traffic.
    """
    found: set[str] = set()
    for call in (case.call for case in cases if case.call is not None):
        unseen = only and not (call.contacts or call.exchanges)
        answered = any(e.target == service and e.status is not None for e in call.exchanges)
        if call.own_traces:
            met = any(c.target == service and c.failed is None for c in call.contacts)
            found.update(call.own_traces if answered or met or unseen else ())
        elif call.trace and answered:
            found.add(call.trace)
    return frozenset(found)


def joined(cases: Sequence[Case], receipts: Iterable[Receipt], *, alone: bool) -> Joined:
    """Give each receipt to the phases that can have made its request.

    `cases` are all of the suite, each attempt at one by itself. `alone`: no other test ran at the
    same time, in another shard or another suite.
    """
    phases = [phase for case in cases for phase in case.phases]
    own = {phase.trace for phase in phases if phase.trace}
    by_trace: defaultdict[str, list[Receipt]] = defaultdict(list)
    untraced: list[Receipt] = []
    for receipt in receipts:
        if not receipt.trace:
            untraced.append(receipt)
        elif receipt.trace in own:
            by_trace[receipt.trace].append(receipt)
        else:
            by_trace[receipt.trace].append(_of_a_chosen_trace(receipt, phases))
    unclear: dict[str, str] = {}
    for trace, receipt, why in _alike(phases, untraced, alone=alone):
        if why is None:
            by_trace[trace].append(replace(receipt, trace=trace, by="request"))
        else:
            unclear.setdefault(trace, why)
    return Joined(by_trace, unclear)


def _of_a_chosen_trace(receipt: Receipt, phases: Sequence[PhaseRecord]) -> Receipt:
    sent = [phase for phase in phases if receipt.trace in phase.own_traces]
    can = [phase for phase in sent if _is_within(receipt, phase) and _may_ask(phase, receipt)]
    return receipt if len(can) <= 1 else replace(receipt, by="request")


def _may_ask(phase: PhaseRecord, receipt: Receipt) -> bool:
    """Whether it is not known that the phase asked for other things alone."""
    asked = [each for each in phase.exchanges if each.target == receipt.service]
    return not asked or any(_key_of(each) == _key(receipt) for each in asked)


def _alike(
    phases: Sequence[PhaseRecord], receipts: Sequence[Receipt], *, alone: bool
) -> Iterator[tuple[str, Receipt, str | None]]:
    """Each receipt with the trace id of a phase that can be meant, and why it is not that one's."""
    asked: defaultdict[_Key, list[PhaseRecord]] = defaultdict(list)
    for phase in phases:
        for key in {_key_of(each) for each in phase.exchanges if each.status is not None}:
            asked[key].append(phase)
    agents: defaultdict[_Key, set[str | None]] = defaultdict(set)
    for receipt in receipts:
        agents[_key(receipt)].add(receipt.agent)
    for receipt in receipts:
        can = [phase for phase in asked[_key(receipt)] if _is_within(receipt, phase)]
        why = _why_not(receipt, can, len(agents[_key(receipt)]), alone=alone)
        for phase in can:
            if phase.trace:
                yield phase.trace, receipt, why


def _why_not(
    receipt: Receipt, can: Sequence[PhaseRecord], agents: int, *, alone: bool
) -> str | None:
    said = f"{receipt.method} {receipt.path} {receipt.status}"
    if not alone:
        return f"{said} is in the request log without its trace id, and other tests ran then"
    if agents > 1:
        return f"{said} is in the request log without its trace id, from {agents} kinds of clients"
    if len(can) > 1:
        return f"{said} is in the request log without its trace id, and {len(can)} tests asked it"
    if not all(_moved_bytes(phase, receipt.service) for phase in can):
        return f"{said} is in the request log without its trace id, and it made no such connection"
    return None


def _is_within(receipt: Receipt, phase: PhaseRecord) -> bool:
    if phase.began is None or phase.ended is None:
        return False
    return phase.began - _CLOCK_SLACK <= receipt.at <= phase.ended + _CLOCK_SLACK


def _moved_bytes(phase: PhaseRecord, service: str) -> bool:
    """Whether the test itself had a connection to the service over which bytes came, or may have.

    Without one its client may be a fake that nobody noticed, and the request a stranger's.
    """
    return any(
        c.target == service and c.failed is None and c.received != 0 and c.via != "child"
        for c in phase.contacts
    )


def _key_of(exchange: HttpExchange) -> _Key:
    return (exchange.target or "", exchange.method, path_of(exchange), exchange.status or 0)


def _key(receipt: Receipt) -> _Key:
    return (receipt.service, receipt.method, path_of(receipt), receipt.status or 0)
