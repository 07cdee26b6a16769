"""ID tokens by the real google-auth, of a real token server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_rig import environment
from token_server import ACCOUNT, TokenServer, a_token, claims_of, token_server

from loopctl.errors import Stopped
from loopctl.model.plan import AuthSpec, BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.platforms.cloud_run import identity as identity_module
from loopctl.platforms.cloud_run import limited_request as module
from loopctl.platforms.cloud_run.identity import GoogleIdentity
from loopctl.ports.identity import IdentityError
from loopctl.process import Stop
from loopctl.redact import Learned, Redactor, Secret

AUDIENCE = "https://chat-abc-uc.a.run.app"
DEPLOYER = "deployer@shop.iam.gserviceaccount.com"

_PRINTS_ONE = f"""
from loopctl.model.plan import AuthSpec, BuildSpec, HealthSpec, RunSpec, ServiceSpec
from loopctl.platforms.cloud_run.identity import GoogleIdentity
from loopctl.process import Stop

spec = ServiceSpec("chat", BuildSpec("local"), RunSpec(), HealthSpec(), auth=AuthSpec("id_token"))
identity = GoogleIdentity(None, lambda _: None)
token = identity.token(spec, {AUDIENCE!r}, Stop(20))
assert identity.token(spec, {AUDIENCE!r}, Stop(20)) is token
print(token.secret.reveal(), token.whom)
"""


class Clock:
    """The time of day, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def google(tmp_path: Path) -> Iterator[TokenServer]:
    """A token server, whose service account the environment names."""
    with token_server() as server, credentials(server.key_file(tmp_path)):
        yield server


def credentials(path: Path) -> Any:
    return environment(GOOGLE_APPLICATION_CREDENTIALS=str(path))


def a_spec(name: str = "chat", url: str | None = None, **auth: str) -> ServiceSpec:
    auth_spec = AuthSpec("id_token", **auth)
    return ServiceSpec(name, BuildSpec("local"), RunSpec(), HealthSpec(), url=url, auth=auth_spec)


def an_identity(impersonate: str | None = None, clock: Clock | None = None) -> GoogleIdentity:
    return GoogleIdentity(impersonate, Learned().learn, clock or Clock())


def refusal(identity: GoogleIdentity, spec: ServiceSpec | None = None) -> IdentityError:
    with pytest.raises(IdentityError) as told:
        identity.token(spec or a_spec(), AUDIENCE, Stop(30))
    return told.value


def test_a_service_accounts_key_makes_a_token_for_the_audience(google: TokenServer) -> None:
    token = an_identity().token(a_spec(), AUDIENCE, Stop(20))
    assert token.secret.reveal() == google.given[0]
    assert claims_of(google.given[0])["aud"] == AUDIENCE
    assert token.whom == ACCOUNT
    assert google.asked[0]["target_audience"] == AUDIENCE


def test_a_token_is_kept_and_renewed_five_minutes_before_it_expires(google: TokenServer) -> None:
    clock = Clock()
    identity = an_identity(clock=clock)
    first = identity.token(a_spec(), AUDIENCE, Stop(20))
    clock.ahead = 3600 - 300 - 30
    assert identity.token(a_spec(), AUDIENCE, Stop(20)) is first
    assert identity.token(a_spec("other"), AUDIENCE, Stop(20)) is first, "for whoever is that"
    google.lives_s = 2 * 3600
    clock.ahead = 3600 - 300 + 1
    second = identity.token(a_spec(), AUDIENCE, Stop(20))
    assert [first.secret.reveal(), second.secret.reveal()] == google.given
    assert identity.token(a_spec(), "https://another.example", Stop(20)).secret != second.secret


def test_a_short_lived_token_is_not_asked_for_every_time(google: TokenServer) -> None:
    google.lives_s = 120
    identity = an_identity()
    for _ in range(3):
        identity.token(a_spec(), AUDIENCE, Stop(20))
    assert len(google.given) == 1


def test_redactors_know_a_token_before_anybody_has_it(google: TokenServer) -> None:
    known: list[Secret] = []
    identity = GoogleIdentity(None, known.append)
    token = identity.token(a_spec(), AUDIENCE, Stop(20))
    assert known == [token.secret]
    learned = Learned()
    learned.learn(token.secret)
    shown = Redactor({}, (), learned).text(f"met with {google.given[0]} it answers")
    assert shown == "met with [redacted:id-token] it answers"
    assert google.given[0] not in repr(token)


def test_what_cannot_be_renewed_is_used_as_long_as_it_is_good(google: TokenServer) -> None:
    clock = Clock()
    identity = an_identity(clock=clock)
    first = identity.token(a_spec(), AUDIENCE, Stop(20))
    google.answer = (400, b'{"error": "invalid_grant", "error_description": "gone"}')
    clock.ahead = 3600 - 200
    assert identity.token(a_spec(), AUDIENCE, Stop(20)) is first
    clock.ahead = 3600 - 10
    assert "invalid_grant" in refusal(identity).what


def test_the_metadata_server_of_googles_machines_makes_one(tmp_path: Path) -> None:
    with token_server() as server:
        env = {**os.environ, **server.metadata_environment, "HOME": str(tmp_path)}
        env = {**env, "CLOUDSDK_CONFIG": str(tmp_path)}
        env.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        told = subprocess.check_output(
            [sys.executable, "-c", _PRINTS_ONE], env=env, text=True, timeout=60
        )
    assert told.split() == [server.given[0], ACCOUNT]
    assert [a["audience"] for a in server.asked if "audience" in a] == [AUDIENCE]


@pytest.mark.parametrize("of_the_service", [True, False])
def test_an_account_is_impersonated_by_the_api_of_iam(
    google: TokenServer, tmp_path: Path, *, of_the_service: bool
) -> None:
    spec = a_spec(impersonate=DEPLOYER) if of_the_service else a_spec()
    with environment(**google.iam_environment(tmp_path)):
        token = an_identity(None if of_the_service else DEPLOYER).token(spec, AUDIENCE, Stop(20))
    assert token.secret.reveal() == google.given[0]
    asked = google.asked[-1]
    assert asked["path"] == f"/v1/projects/-/serviceAccounts/{DEPLOYER}:generateIdToken"
    assert (asked["audience"], asked["includeEmail"]) == (AUDIENCE, True)
    assert asked["by"] == "Bearer ya29.account"


def test_impersonation_that_is_refused_names_the_command_that_grants_it(
    google: TokenServer, tmp_path: Path
) -> None:
    identity = an_identity(DEPLOYER)
    said = "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource"
    with environment(**google.iam_environment(tmp_path)):
        identity.token(a_spec(), "https://first.example", Stop(20))
        google.answer = (403, json.dumps({"error": {"code": 403, "message": said}}).encode())
        sources = identity._sources
        sources[DEPLOYER, AUDIENCE] = sources[DEPLOYER, "https://first.example"]
        error = refusal(identity)
    assert error.what == f"no ID token as {DEPLOYER} for {AUDIENCE}: {said}"
    assert error.hint is not None
    assert f"gcloud iam service-accounts add-iam-policy-binding {DEPLOYER}" in error.hint
    assert "roles/iam.serviceAccountTokenCreator" in error.hint


def test_a_persons_own_credentials_are_told_to_impersonate(
    google: TokenServer, tmp_path: Path
) -> None:
    with credentials(google.user_file(tmp_path)):
        (problem,) = an_identity().check([a_spec(), a_spec("other")], Stop(20))
    assert problem.message == (
        "a user's own credentials make no ID token for an audience: only a service account's do"
    )
    assert problem.hint is not None
    assert "impersonate:" in problem.hint
    assert "roles/iam.serviceAccountTokenCreator" in problem.hint
    assert google.asked == []


def test_no_credentials_at_all_are_a_problem(tmp_path: Path) -> None:
    with credentials(tmp_path / "absent.json"):
        (problem,) = an_identity().check([a_spec()], Stop(20))
    assert "absent.json" in problem.message
    assert problem.where == "credentials"


def test_a_check_asks_for_a_token_of_each_account_as_it_will_be_wanted(
    google: TokenServer,
) -> None:
    gated = a_spec("pay", url="https://pay.example.test/v1/")
    told = a_spec("mail", audience="https://named.example")
    for spec, audience in (
        (gated, "https://pay.example.test"),
        (told, "https://named.example"),
        (a_spec(), "https://chat.invalid"),
    ):
        assert an_identity().check([spec], Stop(20)) == ()
        assert google.asked[-1]["target_audience"] == audience


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "Invalid JWT"}', "Invalid JWT"),
        (200, b"<html>a portal</html>", "no ID token for"),
        (200, b'{"id_token": "not-a-token"}', "no ID token for"),
        (200, b"{}", "No ID token in response"),
        (404, b"", "no ID token for"),
    ],
)
def test_a_refusal_is_told_in_words(
    google: TokenServer, status: int, body: bytes, said: str
) -> None:
    google.answer = (status, body)
    error = refusal(an_identity())
    assert said in error.what
    assert AUDIENCE in error.what
    assert error.hint


def test_a_token_that_has_expired_already_is_none(google: TokenServer) -> None:
    google.lives_s = -60
    assert "expired already" in refusal(an_identity()).what
    google.lives_s = 60
    assert an_identity().token(a_spec(), AUDIENCE, Stop(20)).whom == ACCOUNT


def test_nobody_at_the_token_uri_is_told(google: TokenServer, tmp_path: Path) -> None:
    info = json.loads((tmp_path / "key.json").read_text())
    (tmp_path / "gone.json").write_text(json.dumps(info | {"token_uri": "http://127.0.0.1:9/t"}))
    with credentials(tmp_path / "gone.json"):
        assert "refused" in refusal(an_identity()).what


def test_a_server_that_says_nothing_is_left_in_time(
    google: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CALL_S", 0.2)
    monkeypatch.setattr(identity_module, "_LONGEST_S", 0.5)
    google.open.clear()
    began = time.monotonic()
    assert AUDIENCE in refusal(an_identity()).what
    assert time.monotonic() - began < 8
    with pytest.raises(Stopped):
        an_identity().token(a_spec(), AUDIENCE, Stop(0.1))


def test_the_tokens_of_the_tests_have_the_length_of_real_ones() -> None:
    assert 700 < len(a_token(AUDIENCE, time.time() + 3600)) < 1500
