"""A run that is SIGKILLed about a remedy, or after one, ends as one that nobody has disturbed."""

from __future__ import annotations

import pytest
from kill_rig import Site, labels, numbers, site_of
from rig import Project, met_by_users
from slow import but_slow
from word_loop import REPAIRS, as_it_was, green_before, run_rule, script, word_loop

ABOUT_A_REMEDY = (
    "entered remediate",
    "intent remedy",
    "remedy.ended",
    "result remedy",
    "remedy.decided web",
    "finished remediate",
)
SECOND_CYCLE = (
    "entered build",
    "result build web",
    "intent deploy web",
    "result deploy web",
    "cases smoke",
    "intent promote web",
    "finished confirm",
)


def repaired(project: Project) -> None:
    green_before(project)
    script(project, REPAIRS)
    word_loop(project, run_rule())


def handed_over(project: Project) -> None:
    green_before(project)
    script(project, f"{REPAIRS}echo 'ask the owner'\nexit 75\n")
    word_loop(project, run_rule())


mended = site_of(repaired)
handed = site_of(handed_over)


@pytest.mark.parametrize("at", but_slow(ABOUT_A_REMEDY, ("intent remedy",)))
def test_what_a_remedy_mends_is_mended_once_and_goes_green(mended: Site, at: str) -> None:
    assert (mended.undisturbed.code, mended.undisturbed.cycles) == (0, 2), mended.told
    as_it_was(mended.project)
    before = numbers(mended.project)
    ran = mended.goes_on_as_if_nothing_had_been(mended.killed(at), before)
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.parametrize("at", but_slow(SECOND_CYCLE, ()))
def test_the_second_cycle_may_be_killed_like_the_first(mended: Site, at: str) -> None:
    as_it_was(mended.project)
    before = numbers(mended.project)
    folder = mended.killed(at, cycle=2)
    assert labels(folder).count("entered build") == 2
    mended.goes_on_as_if_nothing_had_been(folder, before)


@pytest.mark.parametrize("at", but_slow(ABOUT_A_REMEDY, ()))
def test_a_remedy_that_hands_over_has_handed_over_whoever_heard_of_it(
    handed: Site, at: str
) -> None:
    assert (handed.undisturbed.code, handed.undisturbed.stop_reason) == (1, "needs-human")
    as_it_was(handed.project)
    before = numbers(handed.project)
    ran = handed.goes_on_as_if_nothing_had_been(handed.killed(at), before)
    assert "hands over to a person (exit code 75, saying 'ask the owner')" in ran.line("TRIED")
