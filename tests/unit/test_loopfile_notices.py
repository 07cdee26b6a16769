"""`notify` in the loop file: which service a URL is, for whom it must resolve, how it hides."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from loopfile_project import MINIMAL, only, plan_of, problems_of, project

from loopctl.api.beginning import fingerprint
from loopctl.bootstrap import redactor_of
from loopctl.integrations.notices import outlook
from loopctl.model.notice import Every, NoticeKind, secrets_of
from loopctl.model.state import Verdict

TOKEN = "T0123/B0456/abcdefghIJKLmnopqrstuvwx"
SLACK = f"https://hooks.slack.com/services/{TOKEN}"
PLACES = "environments: {local: {platform: local}, prod: {platform: local}}\n"


def with_notices(folder: Path, *notices: str) -> Path:
    lines = "".join(f"  - {notice}\n" for notice in notices)
    return project(folder, f"{MINIMAL}{PLACES}notify:\n{lines}")


@pytest.mark.parametrize(
    ("url", "kind", "place"),
    [
        (SLACK, "slack", "hooks.slack.com"),
        ("https://prod-07.westeurope.logic.azure.com:443/workflows/0/x", "teams", None),
        ("https://default0.1.environment.api.powerplatform.com:443/powerautomate/x", "teams", None),
        ("https://ours.webhook.office.com/webhookb2/x", "teams", "ours.webhook.office.com"),
        ("http://127.0.0.1:9000/hook", "webhook", "127.0.0.1"),
        ("https://hooks.slack.com.evil.test/services/x", "webhook", "hooks.slack.com.evil.test"),
        ("mailto://user:pass@example.test", "apprise", "mailto"),
        ("tgram://123456789:AbCdEfGhIjKlMnOp/42", "apprise", "tgram"),
    ],
)
def test_the_host_tells_the_kind_and_of_apprise_only_the_scheme_is_shown(
    tmp_path: Path, url: str, kind: str, place: str | None
) -> None:
    (notice,) = plan_of(with_notices(tmp_path, f"{{on: red, url: '{url}'}}")).notices
    assert (notice.kind, notice.on, notice.every) == (kind, (Verdict.RED,), Every.CHANGE)
    assert notice.place == (place or notice.place)
    assert notice.url is not None
    assert notice.url.reveal() == url
    assert url not in repr(notice)


def test_the_plan_says_whom_it_tells_and_that_a_connector_is_retired(tmp_path: Path) -> None:
    path = with_notices(
        tmp_path,
        "{on: [red], url: 'https://ours.webhook.office.com/webhookb2/x'}",
        f"{{on: [red, green], url: '{SLACK}', every: run}}",
    )
    old, new = outlook(plan_of(path).notices)
    assert old.startswith("notice 1 to Teams (ours.webhook.office.com): red, when it changes; ")
    assert "make a workflow" in old
    assert new == "notice 2 to Slack (hooks.slack.com): red, green, of every run"


def test_a_notice_for_another_environment_needs_no_variable(tmp_path: Path) -> None:
    path = with_notices(
        tmp_path,
        "{on: [red], url: '${HOOK:?ask the ops}', environments: [prod], kind: webhook}",
        "{on: [red, green], url: '${MINE:-}', every: run}",
        "{on: [red], url: 'https://h.test/${NOT_SET}'}",
    )
    empty, unset = plan_of(path).notices
    assert (empty.number, empty.url, empty.unset, empty.every) == (1, None, None, Every.RUN)
    assert (unset.number, unset.url, unset.unset) == (2, None, "NOT_SET")
    asked = only(problems_of(path, "prod"))
    assert "HOOK is not set: ask the ops" in asked.message
    first, *_ = plan_of(path, "prod", {"HOOK": "https://ops.test/", "NOT_SET": "x"}).notices
    assert (first.kind, first.place) == (NoticeKind.WEBHOOK, "ops.test")


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (f"{{on: [amber], url: '{SLACK}'}}", '"on" item 1 must be one of green'),
        (f"{{on: [], url: '{SLACK}'}}", '"on" must not be empty'),
        (f"{{on: [red], url: '{SLACK}', environments: [prd]}}", 'no environment "prd"'),
        (f"{{on: [red], url: 'mailto://{TOKEN}', kind: slack}}", "wants an http:// or https://"),
        (f"{{on: [red], url: '{TOKEN}'}}", '"url" must be a URL'),
        (f"{{on: [red], url: 'https:///{TOKEN}'}}", '"url" names no host'),
        (f"{{on: [red], url: '$${{{TOKEN}}}'}}", '"url" must be a URL'),
        (f"{{on: [red], url: ['{TOKEN}']}}", '"url" must be text'),
    ],
)
def test_what_is_wrong_is_told_without_the_url(tmp_path: Path, notice: str, said: str) -> None:
    found = only(problems_of(with_notices(tmp_path, notice)))
    assert said in found.message
    assert TOKEN not in str(found)


def test_without_apprise_its_urls_are_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    found = only(problems_of(with_notices(tmp_path, f"{{on: red, url: 'discord://{TOKEN}'}}")))
    assert "discord:// is spoken by apprise, which is not installed" in found.message
    assert found.hint is not None
    assert "pip install 'loopctl[notify]'" in found.hint


def test_a_file_that_is_no_yaml_shows_nothing_of_its_notices(tmp_path: Path) -> None:
    text = f"{MINIMAL}notify:\n  - on: [red]\n    url: {SLACK}\n    bad: [\n"
    (found,) = problems_of(project(tmp_path, text))
    assert TOKEN not in str(found)
    assert "not valid YAML" in found.message


def test_a_url_and_each_token_in_it_is_redacted_and_a_bare_address_is_not(tmp_path: Path) -> None:
    path = with_notices(tmp_path, "{on: [red], url: '${HOOK}'}")
    redactor = redactor_of(plan_of(path, None, {"HOOK": SLACK}))
    said = redactor.text(f"POST /services/{TOKEN} by {SLACK} and abcdefghIJKLmnopqrstuvwx")
    assert "abcdefghIJKLmnopqrstuvwx" not in said
    assert "/services/" not in said
    assert secrets_of("http://127.0.0.1:9000/") == ()
    assert secrets_of("http://h/api/notifications") == ("http://h/api/notifications",)
    assert "hunter2" in secrets_of("mailto://bob:hunter2@example.test")
    assert "123456789:AbCdEfGhIjKlMnOp" in secrets_of("tgram://123456789:AbCdEfGhIjKlMnOp/42")


def test_a_run_is_gone_on_with_whatever_its_notices_are_by_then(tmp_path: Path) -> None:
    path = with_notices(tmp_path, "{on: [red], url: '${HOOK}'}")
    plans = [plan_of(path, None, given) for given in ({"HOOK": SLACK}, {"HOOK": "x://y"}, {})]
    assert len({fingerprint(plan, tmp_path / "runs") for plan in plans}) == 1
