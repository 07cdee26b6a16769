"""What puts back by hand what could not be put back: only what can work is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fakes import FakePlatform

from loopctl.errors import StorageError
from loopctl.journal.commands import Commands
from loopctl.ports.platform import PlatformError
from loopctl.process import Stop
from loopctl.stages.rollback import NoWayBackError, mended_by, moves_back

COMMANDS = Commands(Path("loops/shop.yaml"), Path("/srv/shop"), "prod", protected=True)
BACK = "loopctl rollback shop --env prod --confirm prod"
ANEW = "loopctl run shop --env prod --confirm prod --create"
SERVICES = ("chat", "worker")
VERIFIED = {"chat": ("chat-old",), "worker": ("worker-old",)}


def told(platform: FakePlatform, verified: Mapping[str, Sequence[str]] = VERIFIED) -> str:
    return mended_by(SERVICES, platform, lambda: verified, COMMANDS, Stop(5.0))


def test_where_every_service_has_a_verified_revision_it_is_a_rollback() -> None:
    platform = FakePlatform(*SERVICES)
    assert told(platform) == BACK
    assert platform.effects("route") == []


def test_where_one_service_is_gone_it_is_a_new_run_which_may_create_it() -> None:
    platform = FakePlatform(*SERVICES)
    platform.states["chat"] = None
    assert told(platform) == ANEW


def test_where_nothing_was_ever_verified_it_is_a_new_run() -> None:
    assert told(FakePlatform(*SERVICES), {"chat": ("chat-old",)}) == ANEW


def test_a_platform_that_does_not_answer_may_do_so_when_it_is_asked_to_go_back() -> None:
    platform = FakePlatform(*SERVICES)
    platform.fails["observe worker"] = PlatformError("silent")
    assert told(platform) == BACK


def test_runs_that_cannot_be_read_do_not_keep_the_run_from_its_end() -> None:
    def unreadable() -> Mapping[str, Sequence[str]]:
        raise StorageError("no such disk")

    assert mended_by(SERVICES, FakePlatform(*SERVICES), unreadable, COMMANDS, Stop(5.0)) == BACK


@pytest.mark.parametrize(
    ("gone", "verified", "hint"),
    [
        (True, ("chat-old",), f"deploy it: {ANEW}"),
        (False, (), "loopctl run shop --env prod --confirm prod"),
    ],
)
def test_a_rollback_that_cannot_be_says_which_command_leads_on(
    gone: bool, verified: Sequence[str], hint: str
) -> None:
    platform = FakePlatform("chat")
    if gone:
        platform.states["chat"] = None
    with pytest.raises(NoWayBackError) as refused:
        moves_back(["chat"], platform, {"chat": verified}, COMMANDS, Stop(5.0))
    assert (refused.value.hint or "").endswith(hint)
