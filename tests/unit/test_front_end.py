"""Google's front end is told from services, and its refusals from each other."""

from __future__ import annotations

import pytest

from loopctl.evidence.front_end import front_end_answer
from loopctl.model.plan import CloudRunPlace, HealthSpec
from loopctl.ports.identity import Token
from loopctl.ports.probe import Answer
from loopctl.redact import Secret
from loopctl.stages.callers import NOBODY, Caller
from loopctl.stages.health_check import Asked, check_answer

FORBIDDEN = (
    '<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
    "<title>403 Forbidden</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
    "<h1>Error: Forbidden</h1>\n<h2>Your client does not have permission to get URL "
    "<code>/health</code> from this server.</h2>\n<h2></h2>\n</body></html>\n"
)
UNAUTHORIZED = (
    "<html><head>\n<title>401 Unauthorized</title>\n</head>\n<body>\n<h1>Error: Unauthorized</h1>\n"
    "<h2>Your client does not have permission to the requested URL <code>/</code>.</h2>\n"
)
INTERNAL = (
    "<html><head>\n<title>404 Page not found</title>\n</head>\n<body text=#000000>\n"
    "<h1>Error: Page not found</h1>\n<h2>The requested URL was not found on this server.</h2>\n"
)
ROBOT = (
    "<!DOCTYPE html>\n<html lang=en>\n  <title>Error 404 (Not Found)!!1</title>\n  <style>\n"
    "  <p><b>404.</b> <ins>That’s an error.</ins>\n  <p>The requested URL <code>/healthz</code> "
    "was not found on this server.  <ins>That’s all we know.</ins>\n"
)
INGRESS = "<title>403 Forbidden</title>\n<h1>Error: Forbidden</h1>\n<h2>Access is forbidden.</h2>"
APACHE = (
    "<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n"
    "<p>The requested URL was not found on this server.</p>\n<hr>\n<address>Apache/2.4</address>"
)
PLACE = CloudRunPlace("shop", "us-central1")
TESTER = Caller(Token(Secret("id-token", "a.b.c"), "t@shop.iam.gserviceaccount.com"), PLACE)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, FORBIDDEN, "not-admitted"),
        (401, UNAUTHORIZED, "not-admitted"),
        (403, INGRESS, "not-led-there"),
        (404, INTERNAL, "not-led-there"),
        (404, ROBOT, "not-led-there"),
        (200, FORBIDDEN, None),
        (404, FORBIDDEN, None),
        (404, APACHE, None),
        (404, '{"detail": "Not Found"}', None),
        (403, '{"error": "forbidden"}', None),
        (403, "<h1>403 Forbidden</h1><p>nginx</p>", None),
        (401, "", None),
        (404, "The requested URL was not found on the server. If you entered the URL", None),
    ],
)
def test_its_pages_are_its_own_and_nobody_elses(status: int, body: str, kind: str | None) -> None:
    assert front_end_answer(status, body) == kind


def judged(
    status: int, body: str, caller: Caller, path: str = "/health", url: str | None = None
) -> tuple[str, str]:
    asked = Asked("chat", HealthSpec(path=path), cold=True, caller=caller, url=url)
    fault = check_answer(Answer(status, 0.01, body), asked)
    assert fault is not None
    assert fault.value == str(status)
    return fault.summary, fault.hint or ""


def test_a_caller_without_a_token_is_told_of_auth_and_of_the_role() -> None:
    summary, hint = judged(403, FORBIDDEN, Caller(None, PLACE))
    assert summary == "chat: Google's front end refuses it (403): it admits no anonymous caller"
    assert "`auth: id_token` for chat in the loop file" in hint
    assert hint.endswith(
        "gcloud run services add-iam-policy-binding chat "
        "--member=serviceAccount:NAME@PROJECT.iam.gserviceaccount.com "
        "--role=roles/run.invoker --region=us-central1 --project=shop"
    )
    assert "allUsers" not in hint, "nobody is told to open a service to the world"


def test_whom_the_token_is_for_is_named_in_the_command() -> None:
    summary, hint = judged(403, FORBIDDEN, TESTER)
    assert summary == "chat: Google's front end refuses t@shop.iam.gserviceaccount.com (403)"
    assert "--member=serviceAccount:t@shop.iam.gserviceaccount.com" in hint
    person = Caller(Token(Secret("id-token", "a.b.c"), "ana@example.com"), PLACE)
    assert "--member=user:ana@example.com" in judged(403, FORBIDDEN, person)[1]


def test_a_token_that_is_not_taken_is_a_matter_of_its_audience() -> None:
    summary, hint = judged(401, UNAUTHORIZED, TESTER)
    assert summary == "chat: Google's front end does not take the token (401)"
    assert "audience" in hint


def test_what_does_not_lead_to_the_service_is_not_a_matter_of_iam() -> None:
    summary, hint = judged(404, INTERNAL, TESTER)
    assert "does not lead to it (404)" in summary
    assert hint.startswith(
        "gcloud run services describe chat --region=us-central1 --project=shop: see its ingress"
    )
    summary, hint = judged(404, ROBOT, NOBODY, "/healthz")
    assert summary.endswith("answers /healthz itself (404): it never reaches a container")
    assert hint.startswith("health: {path: /health} for chat")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        (
            "https://pay-123456789012.europe-west1.run.app",
            "binding pay --member=serviceAccount:NAME@PROJECT.iam.gserviceaccount.com "
            "--role=roles/run.invoker --region=europe-west1 --project=123456789012",
        ),
        ("https://cand---pay-api-x7q2mmbd3a-uc.a.run.app/v1", "binding pay-api --member"),
        ("https://pay.example.com", "--region=REGION --project=PROJECT"),
    ],
)
def test_a_service_that_loopctl_does_not_deploy_is_named_by_its_url(url: str, named: str) -> None:
    assert named in judged(403, FORBIDDEN, NOBODY, url=url)[1]


def test_an_answer_that_is_expected_is_no_fault() -> None:
    asked = Asked("chat", HealthSpec(status=(403,)), cold=True)
    assert check_answer(Answer(403, 0.01, FORBIDDEN), asked) is None
