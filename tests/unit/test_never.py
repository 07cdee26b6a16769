"""The never-automatic list: whatever asks for a line of it, nobody but a person does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import BEGAN, serving
from pydantic import ValidationError
from remedy_rig import Failure, found

from loopctl.model.artifact import Revision, ServiceState
from loopctl.model.events import Intent
from loopctl.model.finding import ProposedRemedy
from loopctl.model.plan import RemedyRule
from loopctl.model.state import OutcomeKind, StopReason
from loopctl.ports.history import RunRecord
from loopctl.process import utc_now
from loopctl.stages.never import KNOWN_ACTIONS, NEVER, Asked, never
from loopctl.triage.acting import OWN_ACTIONS
from loopctl.triage.signatures import RemedyTemplate

RED = {"verdict": "red"}

COMMANDS = {
    "protected-promotion": [
        ["gcloud", "run", "services", "update-traffic", "chat", "--to-latest"],
        ["sh", "-c", "make && gcloud run deploy chat --image x"],
        ["loopctl", "run", "shop", "--env", "prod", "--confirm", "prod"],
        ["/usr/bin/env", "CI=1", "kubectl", "apply", "-f", "k8s"],
    ],
    "secrets": [
        ["gcloud", "secrets", "versions", "add", "jwt"],
        ["bash", "-ec", "echo x | vault kv put secret/x -"],
        ["gcloud", "run", "services", "describe", "--set-secrets=A=b:latest"],
    ],
    "iam": [
        ["gcloud", "projects", "add-iam-policy-binding", "p", "--member=allUsers"],
        ["sudo", "-E", "aws", "iam", "attach-role-policy"],
    ],
    "networking": [
        ["gcloud", "compute", "firewall-rules", "create", "open"],
        ["timeout", "30", "iptables", "-F"],
    ],
    "databases": [
        ["psql", "-c", "drop table users"],
        ["python3", "manage.py", "migrate"],
        ["uv", "run", "alembic", "downgrade", "-1"],
        ["gcloud", "sql", "instances", "restart", "main"],
    ],
    "relaxed-judgement": [
        ["pytest", "--deselect", "tests/test_a.py"],
        ["python", "-m", "pytest", "--ignore=tests/e2e"],
    ],
    "mocks": [["env", "USE_MOCKS=1", "./fix.sh"], ["sh", "-c", "MOCK_LLM=true ./fix.sh"]],
    "deleted-revisions": [
        ["gcloud", "run", "revisions", "delete", "chat-00001-abc", "--quiet"],
        ["loopctl", "down", "shop"],
        ["docker", "rm", "-f", "web"],
        ["sh", "-c", "cd infra; terraform destroy"],
    ],
}
"""Commands that do a line of the list by name."""


@pytest.mark.parametrize(
    ("line", "command"), [(line, each) for line, several in COMMANDS.items() for each in several]
)
def test_a_rule_whose_command_does_a_line_of_the_list_is_a_persons(
    tmp_path: Path, line: str, command: list[str]
) -> None:
    failure = Failure(tmp_path)
    outcome = failure.remediate(RemedyRule(RED, "run", tuple(command), limit=9))
    assert outcome.kind is OutcomeKind.FAILED
    assert (failure.decided.action, failure.decided.result) == ("run", "proposed")
    rule = next(each for each in NEVER if each.name == line)
    assert f"{rule.forbids} is never automatic" in failure.decided.detail
    assert rule.why in failure.decided.detail
    assert not failure.command.calls
    assert not [e for e in failure.events if isinstance(e.payload, Intent)]


@pytest.mark.parametrize(
    "command",
    [
        ["./fix.sh"],
        ["make", "fix"],
        ["python", "-m", "fixer", "--only", "chat"],
        ["sh", "-c", "USE_MOCKS=0 ./fix.sh && git status"],
        ["claude", "-p", "mend the failure described in the bundle, change no database"],
        ["pytest", "-x"],
    ],
)
def test_a_command_that_names_none_of_it_is_run(tmp_path: Path, command: list[str]) -> None:
    failure = Failure(tmp_path)
    failure.remediate(RemedyRule(RED, "run", tuple(command)))
    assert failure.decided.result == "done", failure.decided.detail


@pytest.mark.parametrize("action", ["run", "person"])
def test_no_signature_has_a_command_run(tmp_path: Path, action: str) -> None:
    proposed = ProposedRemedy(action, "gcloud secrets versions add jwt")  # type: ignore[arg-type]
    failure = Failure(tmp_path, found(proposed))
    failure.remediate()
    assert failure.decided.result == "proposed"
    assert not failure.command.calls


def test_a_signature_may_only_name_what_the_list_knows() -> None:
    assert OWN_ACTIONS <= KNOWN_ACTIONS
    assert never(Asked("promote")) is not None
    assert never(Asked("delete-revision")) is not None


def test_on_a_protected_environment_nobody_is_given_what_the_loop_file_does_not_name() -> None:
    assert never(Asked("raise-memory", protected=True)) is not None
    assert never(Asked("raise-memory")) is None


def test_every_line_says_why() -> None:
    assert len({rule.name for rule in NEVER}) == len(NEVER)
    assert all(rule.why and rule.forbids for rule in NEVER)


STALE = found(ProposedRemedy("rebuild", "rebuild without the cache"))
AGAIN = RemedyRule(RED, "rebuild", limit=5)


def test_what_has_just_not_mended_is_not_done_again_on_the_same_sources(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.again(failure.remediate(AGAIN, no_progress=9, max_cycles=9))
    assert failure.remediate(AGAIN, no_progress=9, max_cycles=9).kind is OutcomeKind.GO_BUILD
    assert failure.decided.rule == "deploy.stale-image", "another asks for it for the first time"
    failure.again(failure.remediate(no_progress=9, max_cycles=9))
    assert failure.remediate(AGAIN, no_progress=9, max_cycles=9).kind is OutcomeKind.FAILED
    assert "a second remedy of a kind that just failed is never automatic" in failure.decided.detail


def test_what_has_not_mended_is_done_again_on_other_sources(tmp_path: Path) -> None:
    failure = Failure(tmp_path, STALE)
    failure.again(failure.remediate(AGAIN), tree="tree-2")
    assert failure.remediate(AGAIN).kind is OutcomeKind.GO_BUILD


@pytest.mark.parametrize("on", ["sha256:1", ""])
def test_what_failed_on_sources_that_nobody_knows_is_not_done_again_on_such(on: str) -> None:
    failed = (("retry", "chat", "a.cause", on),)
    assert never(Asked("retry", "a.cause", "chat", on, failed=failed)) is not None
    assert never(Asked("retry", "a.cause", "chat", "sha256:2", failed=failed)) is None
    assert never(Asked("retry", "a.cause", "worker", on, failed=failed)) is None


ROLLBACK = RemedyRule(RED, "rollback")
SQL = ("db/*.sql",)
SCHEMA = "sha256:schema-1"


def fails_with_a_schema(
    folder: Path, now: str | None = SCHEMA, key: str | None = "20250910-100000-golden-path-0000/1/c"
) -> Failure:
    """What serves chat was deployed by an earlier run; chat-older is verified."""
    failure = Failure(folder, migrations=SQL, schema=now)
    served = Revision("chat", "chat-new", "sha256:new", BEGAN, key)
    old = Revision("chat", "chat-older", "sha256:old", BEGAN)
    state = serving("chat", {"chat-new": 100, "chat-older": 0})
    failure.platform.states["chat"] = ServiceState(
        state.service, state.url, state.ws_url, state.traffic, (served, old), state.generation
    )
    failure.verified = {"chat": ("chat-older",), "worker": ("worker-old",)}
    failure.history.records = [
        a_record("20250909-100000-golden-path-0000", "chat-older", SCHEMA),
        a_record("20250910-100000-golden-path-0000", None, SCHEMA),
    ]
    return failure


def a_record(run_id: str, verified: str | None, schema: str | None) -> RunRecord:
    return RunRecord(
        run_id,
        "golden-path",
        "local",
        utc_now(),
        verified={"chat": verified} if verified else {},
        migrations={"chat": schema} if schema else {},
    )


def test_it_goes_back_where_the_schema_is_the_same(tmp_path: Path) -> None:
    failure = fails_with_a_schema(tmp_path)
    failure.remediate(ROLLBACK)
    assert (failure.decided.result, failure.decided.ends) == ("done", StopReason.ROLLED_BACK)
    assert failure.platform.traffic("chat") == {"chat-older": 100}


@pytest.mark.parametrize(
    ("now", "verified", "served", "said"),
    [
        ("sha256:schema-2", SCHEMA, SCHEMA, "what cycle 1 has built are not those of chat-older"),
        (SCHEMA, "sha256:schema-0", SCHEMA, "are not those of chat-older"),
        (SCHEMA, SCHEMA, "sha256:schema-2", "of chat-new are not those of chat-older"),
        (None, SCHEMA, SCHEMA, "what cycle 1 has built are not known"),
        (SCHEMA, None, SCHEMA, "of chat-older are not known"),
        (SCHEMA, SCHEMA, None, "of chat-new are not known"),
    ],
)
def test_nothing_goes_back_by_itself_over_a_change_of_the_schema_or_where_nobody_knows(
    tmp_path: Path, now: str | None, verified: str | None, served: str | None, said: str
) -> None:
    failure = fails_with_a_schema(tmp_path, now)
    failure.history.records = [
        a_record("20250909-100000-golden-path-0000", "chat-older", verified),
        a_record("20250910-100000-golden-path-0000", None, served),
    ]
    assert failure.remediate(ROLLBACK).kind is OutcomeKind.FAILED
    assert (failure.decided.result, failure.decided.ends) == ("proposed", None)
    assert "going back over a change of the schema is never automatic" in failure.decided.detail
    assert said in failure.decided.detail
    assert failure.decided.command == "loopctl rollback golden-path --env local"
    assert not failure.platform.effects("route")


def test_what_a_stranger_deployed_is_not_known_so_nothing_goes_back(tmp_path: Path) -> None:
    failure = fails_with_a_schema(tmp_path, key=None)
    failure.remediate(ROLLBACK)
    assert failure.decided.result == "proposed"
    assert not failure.platform.effects("route")


@pytest.mark.parametrize(
    "action", ["promote", "delete-revision", "set-secret", "grant", "migrate", "relax", "mock"]
)
def test_a_users_signature_cannot_even_name_what_is_never_automatic(action: str) -> None:
    with pytest.raises(ValidationError):
        RemedyTemplate.model_validate({"action": action, "mode": "auto"})
