"""The whole course of a service on servers that answer otherwise than the emulator's habit is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cloud_run_rig import ProcessCloudRunRig, cloud_run_rig
from platform_rig import SERVE, get

from loopctl.model.artifact import ServiceState
from loopctl.model.finding import FaultKind

BROKEN = "import sys\nprint('no such table', file=sys.stderr)\nsys.exit(3)\n"

QUIRKS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "short-names": {"short_names": True},
    "full-names-in-traffic": {"full_names_in_traffic": True},
    "bare-while-reconciling": {"bare_while_reconciling": True},
    "no-terminal-condition": {"no_terminal_condition": True},
    "no-severities": {"no_severities": True},
    "unknown-enums": {"unknown_enums": True},
    "drops-revision-name": {"drops_revision_name": True},
    "late-revisions": {"late_revisions_s": 1.5},
    "late-and-nameless": {"late_revisions_s": 1.5, "drops_revision_name": True},
    "no-create-times": {"no_create_times": True},
    "no-etags": {"no_etags": True},
    "uri-in-list-only": {"uri_in_list_only": True},
    "oldest-first": {"oldest_first": True},
    "rows-of-nothing": {"rows_of_nothing": True},
    "bare-operations": {"bare_operations": True},
    "results-of-another-type": {"results_of_another_type": True},
    "done-at-once": {"done_at_once": True},
    "done-at-once-otherwise": {"done_at_once": True, "results_of_another_type": True},
    "operations-gone": {"operations_gone": True},
    "cannot-wait": {"cannot_wait": True},
    "no-conditions-of-revisions": {"no_conditions_of_revisions": True},
}


#: Those that may come together.
ANOTHER = dict.fromkeys(
    (
        "full_names_in_traffic",
        "bare_while_reconciling",
        "no_severities",
        "unknown_enums",
        "drops_revision_name",
        "no_create_times",
        "uri_in_list_only",
        "oldest_first",
        "rows_of_nothing",
        "bare_operations",
        "cannot_wait",
    ),
    True,
)


@pytest.fixture(params=["grpc", pytest.param("rest", marks=pytest.mark.slow)])
def rig(request: pytest.FixtureRequest) -> Iterator[ProcessCloudRunRig]:
    with cloud_run_rig(transport=request.param) as made:
        yield made


def state_of(rig: ProcessCloudRunRig) -> ServiceState:
    state = rig.platform.observe("chat", rig.stop)
    assert isinstance(state, ServiceState)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_service_goes_its_course_whatever_is_answered(
    rig: ProcessCloudRunRig, quirk: str
) -> None:
    goes_its_course(rig, QUIRKS[quirk])


@pytest.mark.slow
def test_a_service_goes_its_course_on_another_server(rig: ProcessCloudRunRig) -> None:
    goes_its_course(rig, ANOTHER)


def goes_its_course(rig: ProcessCloudRunRig, quirks: Mapping[str, Any]) -> None:
    """Made, replaced by a candidate, verified; a broken candidate is put away; nothing twice."""
    for name, value in quirks.items():
        setattr(rig.emulator.quirks, name, value)
    held = rig.hold()
    old = rig.deploy(SERVE, held, share="all")
    assert get(rig.ready(old).url) == (200, old.name)
    held = rig.leases.renew(held, rig.stop)

    new = rig.deploy(SERVE, held)
    assert get(rig.ready(new).url) == (200, new.name)
    before = state_of(rig)
    assert before.traffic == {old.name: 100}
    assert get(before.url) == (200, old.name)

    routed = rig.platform.route("chat", {new.name: 100}, held, rig.stop)
    assert routed.traffic == {new.name: 100}
    marked = rig.verified.record(new, "run-1", held, rig.stop)
    assert marked.traffic == {new.name: 100}
    assert get(marked.url) == (200, new.name)

    bad = rig.deploy(BROKEN, held)
    fault = rig.dead(bad).fault
    assert (fault.kind, fault.value) == (FaultKind.EXIT_CODE, "3")
    rig.platform.discard(bad, held, rig.stop)
    rig.platform.discard(bad, held, rig.stop)
    rig.check_discarded(bad)
    assert state_of(rig).traffic == {new.name: 100}
    assert get(state_of(rig).url) == (200, new.name)
    assert rig.verified.recall("chat", rig.stop) == [new.name]

    made = [name.rpartition("/")[2] for name in rig.emulator.state.revisions]
    assert made[:3] == [old.name, new.name, bad.name]
    assert [name[:10] for name in made[3:]] == ["chat-back-"]
