"""What `triage --watch` tells of one look: what it comes to in a line, and whether that is news."""

from __future__ import annotations

from loopctl.inert import for_terminal, one_line
from loopctl.journal.wording import clock, traffic
from loopctl.reports.triaged_text import said_of
from loopctl.triage.triaged import ServiceLook, Triaged

_NAMED = 3
News = tuple[object, ...]


def news_of(triaged: Triaged) -> News:
    """Equal for two looks that tell a person the same: times, counts and latencies are left out."""
    services = tuple(
        (look.name, look.state, tuple(sorted(look.traffic.items())), tuple(sorted(look.verified)))
        for look in triaged.services
    )
    causes = tuple(finding.fingerprint for finding in triaged.findings)
    run = triaged.under_way.run_id if triaged.under_way else None
    return (triaged.exit_code, services, causes, run)


def line_of(triaged: Triaged) -> str:
    """One line with its UTC time: what is wrong, who serves, the likely cause, a run going on."""
    parts = [f"{said_of(triaged)}, exit code {triaged.exit_code}"]
    parts += [_service(look) for look in triaged.services[:_NAMED]]
    if triaged.findings:
        parts.append(f"likely cause: {one_line(triaged.findings[0].title, 200)}")
    if triaged.under_way is not None:
        parts.append(f"run {one_line(triaged.under_way.run_id, 120)} is going on")
    return for_terminal(f"{clock(triaged.at)} {'; '.join(parts)}")


def _service(look: ServiceLook) -> str:
    serves = f", {traffic(look.traffic)}" if look.traffic else ""
    known = "" if not serves else ", verified" if look.traffic.keys() <= look.verified else ""
    unverified = ", NOT verified" if serves and not known else ""
    return f"{one_line(look.name, 63)} {look.state}{serves}{known}{unverified}"
