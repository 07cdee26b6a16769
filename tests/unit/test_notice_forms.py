"""What Slack, Teams and a plain webhook are given: their forms, their limits, nothing alive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from announced import JOB, after, ended
from notice_forms import slack_faults, teams_faults
from worklogs import ALL, HOSTILE

from loopctl.inert import for_chat, for_slack
from loopctl.integrations.notice_apprise import plain_text
from loopctl.integrations.notice_reason import Reason
from loopctl.integrations.notice_slack import slack_message
from loopctl.integrations.notice_teams import teams_message
from loopctl.integrations.notice_text import message_of
from loopctl.integrations.notice_webhook import webhook_document
from loopctl.model.state import Verdict
from loopctl.ports.announcer import Announcement, Before
from loopctl.reports.announcement import announcement_of

BAD = (
    HOSTILE
    + " <!channel> <@U012> <https://evil.test|x> @here @channel [x](https://evil.test) &lt;"
    + " {{DATE(2017-02-14T06:00:00Z)}} ${secret} <at>all</at> www.evil.test :boom: #general"
)


def told(name: str) -> Announcement:
    made = announcement_of(ALL[name]().worklog(), Path(".loopctl/runs/x"), None, JOB)
    assert made is not None
    return made


@pytest.mark.parametrize("name", ALL)
def test_every_run_takes_a_form_that_the_services_document(name: str) -> None:
    run = told(name)
    for reason in Reason:
        message = message_of(run, reason)
        assert slack_faults(slack_message(message)) == []
        assert teams_faults(teams_message(message)) == []
        document = webhook_document(run, reason, message)
        assert len(json.dumps(document)) < 256 * 1024
        title, body = plain_text(message)
        assert len(title) + len(body) < 2000


def test_hostile_texts_of_any_length_stay_inert_and_within_the_limits() -> None:
    for long in (
        "x" * 1_000_000,
        "&" * 20_000,
        "\U0001f4a9" * 9_000,
        "\x00" * 9_000,
        "\udc80" * 99,
    ):
        bad = BAD + long
        lines = tuple((role, bad) for role in ("users", "failed", "quote", "owner", "where"))
        run = ended(Verdict.RED, bad, bad, loop=bad, environment=bad, lines=lines, runbook=bad)
        run = after(replace(run, owner=bad, commit=bad), Before(bad, bad))
        message = message_of(run, Reason.ANOTHER)
        assert slack_faults(slack_message(message)) == []
        assert teams_faults(teams_message(message)) == []
        assert len(json.dumps(webhook_document(run, Reason.ASKED, message))) < 256 * 1024
        assert len("".join(plain_text(message))) < 2100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> & <@U1>", "&lt;\u200b!channel&gt; &amp; &lt;\u200b@\u200bU1&gt;"),
        ("a < b, 3:45:10, x@y", "a &lt; b, 3:45:10, x@\u200by"),
        ("tests/a.py:41: no, log#12, :+1:", "tests/a.py:41: no, log#12, :\u200b+1:"),
        ("see https://h.test/x", "see https:\u200b//h.test/x"),
        ("\u200b\x1b[31m", "\\u200b\\x1b[31m"),
    ],
)
def test_text_for_slack_is_escaped_and_readable(text: str, shown: str) -> None:
    assert for_slack(text) == shown


def test_text_for_a_chat_opens_no_link_tag_function_or_emoji() -> None:
    shown = for_chat(BAD)
    for alive in ("<!", "<@", "<a", "](", "://", "{{", "${", "@h", ":boom:", "www.", "#general"):
        assert alive not in shown
    assert "**bold**" in shown


def test_the_link_is_the_ci_jobs_own_and_only_where_it_needs_no_escaping() -> None:
    good = message_of(ended(job=JOB), Reason.FAILED)
    assert good.link == JOB.url
    for url in ("javascript:alert(1)", "https://h/<x>", "https://h/a|b", "https://h/ x", None):
        assert message_of(ended(job=replace(JOB, url=url)), Reason.FAILED).link is None


def test_the_title_says_what_has_changed() -> None:
    red = after(ended(Verdict.RED, "b"), Before("r", "red", ("a",)))
    assert "red, " not in message_of(red, Reason.FAILED).title
    assert message_of(red, Reason.ANOTHER).title.endswith("still red, now by another cause")
    moved = after(ended(Verdict.UNDELIVERED), Before("r", "red"))
    assert message_of(moved, Reason.ANOTHER).title.endswith("undelivered, after red")
    assert message_of(ended(Verdict.GREEN), Reason.MENDED).title.endswith("staging: green again")


def test_commands_and_paths_of_the_machine_are_not_sent_to_a_chat() -> None:
    message = message_of(ended(), Reason.FAILED)
    assert [label for label, _ in message.lines] == ["USERS", "VERDICT"]


def test_the_webhooks_document_is_the_announcement() -> None:
    run = after(ended(Verdict.RED, "a", job=JOB, commit="c" * 40), Before("r0", "green"))
    document = webhook_document(run, Reason.FAILED, message_of(run, Reason.FAILED))
    assert (document["schema"], document["event"], document["reason"]) == (1, "run.ended", "failed")
    assert document["before"] == {"run_id": "r0", "verdict": "green"}
    (cause,) = json.loads(json.dumps(document))["causes"]
    assert (cause["fingerprint"], cause["signature"], cause["cases"]) == ("a", "db.refused", 0)
    assert json.loads(json.dumps(document))["job"]["pull_request"] == 12
