"""The first line: who serves users now, and whether this run changed it."""

from __future__ import annotations

from loopctl.inert import one_line
from loopctl.journal.wording import traffic, utc
from loopctl.journal.worklog import CycleRecord, ServiceRecord, Worklog
from loopctl.model.events import Left
from loopctl.model.state import Verdict

_NAMED = 3
_AND_LATEST = "; traffic follows the newest revision from here on"


def users_text(worklog: Worklog) -> str:
    """What serves what share, since when, verified or not, changed by this run or not."""
    reason = worklog.run.partial
    told = one_line(reason or "", 120).removeprefix("partial, ")
    partial = f"PARTIAL ({told}; nothing is promoted): " if reason else ""
    return partial + _services(worklog)


def _services(worklog: Worklog) -> str:
    left = worklog.ended.left if worklog.ended else ()
    if left:
        return _joined([_left(one, worklog) for one in left])
    if worklog.last is not None and worklog.ended is None:
        return _still_going(worklog.last)
    if changed_anything(worklog):
        return "not known: nobody could read who serves; this run did change it"
    return "not looked at; this run changed nothing"


def _still_going(cycle: CycleRecord) -> str:
    said = [_last_seen(service) for service in cycle.services.values()]
    known = [text for text in said if text]
    if not known:
        return "not known: the run has not ended, and had not looked yet"
    return f"as last seen, the run has not ended: {_joined(known)}"


def _last_seen(service: ServiceRecord) -> str | None:
    state = service.routed or service.before
    if state is None:
        return None
    changed = "changed by this run" if service.routed else "not changed by this run"
    return f"{one_line(service.name, 63)}: {traffic(state.traffic)}, {changed}"


def _left(left: Left, worklog: Worklog) -> str:
    cycles = worklog.cycles
    since = f" since {utc(left.since)}" if left.since else ""
    serves = any(left.traffic.values())
    # A first revision takes all traffic before anything was tested: whoever reads must know.
    records = [cycle.services[left.service] for cycle in cycles if left.service in cycle.services]
    first = serves and not left.verified and any(_is_first(r, left) for r in records)
    verified = ", verified" if left.verified else ", NOT verified"
    if first:
        verified = ", its first revision, which serves UNVERIFIED"
    dead = f", DEAD ({one_line(left.dead, 160)})" if left.dead else ""
    changed = ", changed by this run" if left.changed_by_run else ", not changed by this run"
    follows = _AND_LATEST if serves and _follows_newest(worklog) else ""
    name = one_line(left.service, 63)
    said = verified if serves else ""
    return f"{name}: {traffic(left.traffic)}{since}{dead}{said}{changed}{follows}"


def _follows_newest(worklog: Worklog) -> bool:
    """Whether traffic was left to whatever is deployed next: as after_green asks for."""
    green = worklog.ended is not None and worklog.ended.verdict is Verdict.GREEN
    return green and worklog.run.after_green == "latest"


def _is_first(record: ServiceRecord, left: Left) -> bool:
    revision = record.revision
    return record.first and revision is not None and bool(left.traffic.get(revision.name))


def changed_anything(worklog: Worklog) -> bool:
    """Whether any cycle deployed a revision or moved traffic."""
    return any(
        service.revision is not None or service.routed is not None
        for cycle in worklog.cycles
        for service in cycle.services.values()
    )


def _joined(texts: list[str]) -> str:
    more = len(texts) - _NAMED
    named = "; ".join(texts[:_NAMED])
    return f"{named}; and {more} more services" if more > 0 else named
