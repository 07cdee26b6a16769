"""The comment on a pull request, and the status of a commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from github_rig import CLOSED_1000, COMMIT, a_job, a_run, repository
from github_server import TOKEN, Fault, GitHub, github

from loopctl.integrations.github.comment import PullComment
from loopctl.integrations.github.marks import comment_mark
from loopctl.integrations.github.status import CommitStatus
from loopctl.integrations.github.told import announcers, checkup, heralds, outlook
from loopctl.model.ci_job import CiJob, CiSystem
from loopctl.model.plan import GithubRules
from loopctl.model.state import Verdict
from loopctl.ports.announcer import AnnounceError, Announcement, Beginning, Previewer
from loopctl.process import Stop, utc_now
from loopctl.redact import Secret

PULL = 1
TOKEN_RULES = GithubRules(token=Secret("github.token", "t" * 40))


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        running.issue("the pull request")
        yield running


def comment(hub: GitHub, *runs: Announcement) -> list[str]:
    said: list[str] = []
    for run in runs:
        told = replace(run, job=a_job(hub, PULL))
        said += PullComment(repository(hub)).announce(told, Stop(20))
    return said


def set_status(hub: GitHub, *runs: Announcement) -> list[str]:
    for run in runs:
        CommitStatus(repository(hub)).announce(replace(run, job=a_job(hub)), Stop(20))
    return [each["state"] for each in hub.statuses]


def begins(hub: GitHub, number: int = 1, **keys: object) -> Beginning:
    run = a_run(number)
    begun = Beginning(run.run_id, run.loop, run.environment, commit=COMMIT, job=a_job(hub))
    return replace(begun, **keys)  # type: ignore[arg-type]


def test_a_loop_has_one_comment_on_an_environment_that_is_written_anew(hub: GitHub) -> None:
    comment(hub, a_run(1), a_run(1), a_run(2, verdict=Verdict.GREEN, causes=()))
    comment(hub, a_run(3, environment="production"))
    first, second = hub.comments[PULL]
    assert "shop on staging: green" in first["body"]
    assert "shop on production: red" in second["body"]
    assert len(hub.asked("PATCH")) == 1


def test_a_run_that_ends_late_writes_not_over_a_newer_one(hub: GitHub) -> None:
    said = comment(hub, a_run(2), a_run(1))
    assert said == ["commented on #1", "the comment on #1 is of a newer run"]
    assert a_run(2).run_id in hub.comments[PULL][0]["body"]


def test_a_run_that_was_locked_out_says_nothing_over_the_one_that_goes_on(hub: GitHub) -> None:
    assert comment(hub, a_run(1, verdict=Verdict.LOCKED)) == []


def test_the_comment_is_found_among_many_and_an_outsiders_copy_is_not_taken_for_it(
    hub: GitHub,
) -> None:
    hub.comment(PULL, comment_mark("shop", "staging"), by="mallory")
    for _ in range(120):
        hub.comment(PULL, "I think", by="ann")
    comment(hub, a_run(1), a_run(2))
    assert len(hub.comments[PULL]) == 122
    assert a_run(2).run_id in hub.comments[PULL][-1]["body"]
    assert hub.comments[PULL][0]["body"] == comment_mark("shop", "staging")


def test_a_persons_own_token_finds_its_own_comment(hub: GitHub) -> None:
    hub.login = "ann"
    comment(hub, a_run(1), a_run(2))
    assert len(hub.comments[PULL]) == 1
    assert len(hub.asked("GET", "/user")) == 1


@pytest.mark.parametrize("does", [True, False])
def test_a_comment_that_may_have_been_made_is_looked_for(hub: GitHub, does: bool) -> None:
    hub.faults.append(Fault("POST", "/comments", cut=True, does=does))
    comment(hub, a_run(1))
    assert len(hub.comments[PULL]) == 1


def test_a_comment_says_what_a_token_lacks(hub: GitHub) -> None:
    hub.faults.append(Fault("POST", "/comments", 403, b"{}"))
    with pytest.raises(AnnounceError, match="`pull-requests: write`"):
        comment(hub, a_run(1))


STATES = {
    "green": "success",
    **dict.fromkeys(["red", "unproven", "undelivered"], "failure"),
    **dict.fromkeys(["preflight", "locked", "internal", "interrupted"], "error"),
}


def test_every_verdict_has_its_state_and_none_but_green_is_success(hub: GitHub) -> None:
    told = set_status(hub, *(a_run(1, verdict=verdict) for verdict in Verdict))
    assert dict(zip(Verdict, told, strict=True)) == STATES


def test_a_status_is_pending_and_then_how_it_ended(hub: GitHub) -> None:
    CommitStatus(repository(hub)).begin(begins(hub), Stop(20))
    assert set_status(hub, a_run(1)) == ["pending", "failure"]
    last = hub.statuses[-1]
    assert last["context"] == "loopctl/shop/staging"
    assert last["target_url"] == "https://ci.example.test/shop/api/actions/runs/1"
    assert last["description"].startswith("red: chat: The service closes live sockets")


def test_a_partial_run_and_one_of_no_commit_have_no_status(hub: GitHub) -> None:
    status = CommitStatus(repository(hub))
    for keys in ({"partial": True}, {"dirty": True}, {"commit": None}, {"commit": "HEAD"}):
        status.begin(begins(hub, **keys), Stop(20))
        status.announce(a_run(1, verdict=Verdict.GREEN, **keys), Stop(20))
    assert hub.statuses == []


def test_a_tree_that_was_changed_meanwhile_leaves_nothing_pending(hub: GitHub) -> None:
    CommitStatus(repository(hub)).begin(begins(hub, 1), Stop(20))
    changed = a_run(1, dirty=True, verdict=Verdict.GREEN)
    assert set_status(hub, a_run(2, dirty=True)) == ["pending"]
    assert set_status(hub, changed) == ["pending", "error"]


def test_a_run_that_is_told_again_sets_no_status_over_that_of_a_later_one(hub: GitHub) -> None:
    again = a_run(1, asked=True, ended_at=utc_now() - timedelta(hours=2))
    assert set_status(hub, again) == ["failure"]
    assert set_status(hub, a_run(2, verdict=Verdict.GREEN), again) == ["failure", "success"]
    assert set_status(hub, replace(again, ended_at=utc_now()))[2:] == ["failure"]


def test_what_would_be_told_can_be_read_without_asking_anybody(hub: GitHub) -> None:
    job = a_job(hub, PULL)
    told = [each for each in announcers(repository_rules(hub), job) if isinstance(each, Previewer)]
    issue, on_pull, status = (each.preview(a_run(1)) for each in told)
    assert issue.startswith("deploy: The service closes live sockets")
    assert "shop on staging: red" in on_pull
    assert status.startswith(f"loopctl/shop/staging of {COMMIT}: failure, red: chat")
    assert told[2].preview(a_run(1, partial=True)).startswith("nothing: ")
    assert told[0].preview(a_run(1, causes=())).startswith("nothing: ")
    assert not hub.requests


def test_a_description_has_room_in_140_characters(hub: GitHub) -> None:
    long = replace(CLOSED_1000, title="word " * 100, service="s" * 200)
    set_status(hub, a_run(1, causes=(long,) * 12))
    assert hub.statuses[0]["description"].endswith("… (and 11 more)")


def test_a_commit_that_is_not_there_is_said(hub: GitHub) -> None:
    hub.commits = set()
    with pytest.raises(AnnounceError, match=r"422.*No commit found"):
        set_status(hub, a_run(1))


def test_each_part_can_be_switched_off() -> None:
    job = CiJob(CiSystem.GITHUB, repository="shop/api", pull_request=3)
    assert len(announcers(TOKEN_RULES, job)) == 3
    assert len(announcers(TOKEN_RULES, replace(job, pull_request=None))) == 2
    elsewhere = replace(TOKEN_RULES, repository="shop/incidents")
    assert [each.name for each in announcers(elsewhere, job)] == ["an issue on GitHub"]
    assert not heralds(elsewhere, job)
    off = replace(TOKEN_RULES, issues=False, comment=False, status=False)
    assert not announcers(off, job)
    assert not heralds(off, job)
    assert announcers(replace(TOKEN_RULES, silent=True), job) == ()
    assert outlook(TOKEN_RULES, job, "shop/staging") == (
        "shop/api: an issue for each cause, at most 5, as loopctl",
        "shop/api: a comment on #3",
        "shop/api: the status loopctl/shop/staging of a commit",
    )


@pytest.mark.parametrize(
    ("rules", "job", "said"),
    [
        (GithubRules(repository="shop/api"), None, "github.token is empty"),
        (TOKEN_RULES, None, "github.repository names none"),
        (TOKEN_RULES, CiJob(CiSystem.GITLAB, repository="shop/api"), "names none"),
        (TOKEN_RULES, CiJob(CiSystem.GITHUB, repository="s/a", api="http://hub.test"), "no TLS"),
    ],
)
def test_what_cannot_be_sent_is_said_once(rules: GithubRules, job: CiJob | None, said: str) -> None:
    (only,) = announcers(rules, job)
    with pytest.raises(AnnounceError, match=said):
        only.announce(a_run(1), Stop(1))
    assert heralds(rules, job) == ()
    (found,) = checkup(rules, job, Stop(1))
    assert not found.ok
    assert said in outlook(rules, job, "shop/staging")[0]


def test_doctor_says_whether_the_token_sees_the_repository(hub: GitHub) -> None:
    rules = replace(repository_rules(hub), comment=False)
    (seen,) = checkup(rules, None, Stop(20))
    assert (seen.ok, seen.said) == (
        True,
        "shop/api is seen; to tell it takes issues: write, statuses: write",
    )
    (unseen,) = checkup(replace(rules, repository="shop/other"), None, Stop(20))
    assert not unseen.ok
    assert "shows this token no shop/other" in unseen.said
    hub.has_issues = False
    (without,) = checkup(rules, None, Stop(20))
    assert (without.ok, without.said) == (False, "shop/api has no issues")


def repository_rules(hub: GitHub) -> GithubRules:
    return GithubRules(repository=hub.repository, api=hub.url, token=Secret("github.token", TOKEN))
