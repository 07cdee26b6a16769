"""What an export is made of says what went wrong: the platform's words, the tests', the requests'.

In process; `tests/e2e/test_triage_logs.py` asks the real command.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from exports import (
    Entry,
    asked,
    audited,
    out_of_memory,
    said,
    served,
    startup_crash,
    traceback,
    write_array,
    wrong_port,
)

from loopctl.api.triaging import LogsRequest, triage_logs
from loopctl.errors import UsageError
from loopctl.model.finding import Finding
from loopctl.triage.triaged import Triaged

GOOD = served("chat-00002-kxh", 0)
NEW = {"revision": "chat-00003-6kk"}
IN_ASGI = """
ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "/usr/local/lib/python3.11/site-packages/uvicorn/protocols/http/h11_impl.py", line 404, in x
    result = await app(self.scope, self.receive, self.send)
  File "/app/api/discovery.py", line 27, in services
    return registry.list(kind)
ZeroDivisionError: division by zero
"""


def triage(tmp_path: Path, given: list[Entry] | str, *green: Path, name: str = "x") -> Triaged:
    path = tmp_path / name
    if isinstance(given, str):
        path.write_text(given, encoding="utf-8")
    else:
        write_array(path, given)
    return triage_logs(LogsRequest((path,), green), io.BytesIO())


def cause(triaged: Triaged) -> Finding:
    assert triaged.findings, triaged.novel
    return triaged.findings[0]


def quotes(finding: Finding) -> str:
    return "\n".join(quote.quote for quote in finding.evidence)


def test_the_log_of_a_healthy_service_says_nothing(tmp_path: Path) -> None:
    triaged = triage(tmp_path, GOOD)
    assert (triaged.findings, triaged.exit_code) == ((), 0)


def test_a_start_up_crash_is_told_by_the_line_that_was_raised(tmp_path: Path) -> None:
    found = cause(triage(tmp_path, [*GOOD, *startup_crash()]))
    assert found.signature is not None
    assert found.signature.startswith("deploy.")
    assert found.service == "chat"
    assert "UserExecutionContext" in quotes(found)
    assert "ws/manager.py" in found.title or "Import-time" in quotes(found)


def test_a_process_that_ended_without_a_word_is_told_by_its_code_and_its_last_lines(
    tmp_path: Path,
) -> None:
    crash = [
        *traceback("loading rules\nno rules for tenant 7, stopping", 100, **NEW),
        said("Container called exit(4).", 101, "varlog/system", "WARNING", **NEW),
    ]
    found = cause(triage(tmp_path, [*GOOD, *crash]))
    assert found.signature == "deploy.exit-code"
    assert "exit code 4" in found.title
    assert "no rules for tenant 7, stopping" in quotes(found)


def test_an_end_with_code_0_is_a_fault_only_where_the_revision_never_served(
    tmp_path: Path,
) -> None:
    left = said("Container called exit(0).", 200, "varlog/system", "WARNING")
    assert triage(tmp_path, [*GOOD, left]).exit_code == 0
    never = audited("The user-provided container failed the configured startup probe checks.", 201)
    assert "exit code 0" in cause(triage(tmp_path, [left, never])).title


def test_another_port_is_told_by_where_it_listens(tmp_path: Path) -> None:
    found = cause(triage(tmp_path, [*GOOD, *wrong_port()]))
    assert found.signature == "deploy.wrong-port"
    assert found.evidence[0].quote.endswith("http://0.0.0.0:8081 (Press CTRL+C to quit)")


def test_too_much_memory_is_told_with_both_numbers(tmp_path: Path) -> None:
    found = cause(triage(tmp_path, [*GOOD, *out_of_memory()]))
    assert found.signature == "deploy.out-of-memory"
    assert "512 MiB exceeded with 516 MiB" in quotes(found)


def test_a_health_check_that_is_redirected_in_the_end_is_a_fault_and_a_followed_one_is_none(
    tmp_path: Path,
) -> None:
    redirected = [asked("/health", 307, 100 + n, **NEW) for n in range(3)]
    assert cause(triage(tmp_path, [*GOOD, *redirected])).signature == "health.redirect"
    followed = [asked("/health/", 200, 100.5 + n, **NEW) for n in range(3)]
    assert triage(tmp_path, [*GOOD, *redirected, *followed]).findings == ()


def test_what_went_over_by_itself_is_no_fault(tmp_path: Path) -> None:
    early = [
        said('Default STARTUP TCP probe failed 1 time consecutively for container "chat-1" on port '
             "8080. The instance was not started. Connection failed with status CANCELLED.",
             -5, "varlog/system", "ERROR"),
        asked("/health", 503, 4),
        asked("/api/threads", 503, 4),
    ]  # fmt: skip
    triaged = triage(tmp_path, [*early, *GOOD])
    assert (triaged.findings, triaged.exit_code) == ((), 0)


def test_a_500_with_a_traceback_is_told_by_both(tmp_path: Path) -> None:
    fails = [*traceback(IN_ASGI, 120, **NEW), asked("/api/discovery", 500, 121, **NEW)]
    found = cause(triage(tmp_path, [*GOOD, *served("chat-00003-6kk", 100, 4), *fails]))
    assert found.signature == "http.500-novel"
    assert "division by zero" in quotes(found)
    assert "GET /api/discovery 500" in quotes(found)


def test_an_unknown_failure_has_no_finding_and_its_line_comes_first(tmp_path: Path) -> None:
    odd = [said("ERROR tenant ledger 7 does not add up: 104882 against 104879", 100)]
    triaged = triage(tmp_path, [*GOOD, *odd])
    assert (triaged.findings, triaged.exit_code) == ((), 3)
    assert "ledger 7 does not add up" in triaged.novel[0].quote.quote
    assert triaged.novel[0].quote.source == f"{tmp_path}/x#1"


def test_a_failing_revision_is_held_against_an_earlier_one_that_served(tmp_path: Path) -> None:
    odd = [
        *served("chat-00003-6kk", 100, 4),
        said("flux at 7", 130, **NEW),
        said("ERROR giving the batch back", 131, **NEW),
    ]
    triaged = triage(tmp_path, [*GOOD, *odd])
    told = [line.quote.quote for line in triaged.novel]
    assert told == ["ERROR giving the batch back", "flux at 7"]
    assert "chat-00002-kxh, which served before without an error" in triaged.ranked_by


def test_one_revision_is_held_against_the_time_before_it_failed(tmp_path: Path) -> None:
    triaged = triage(tmp_path, [*GOOD, said("ERROR flux at 7", 130), said("odd end", 131)])
    assert [line.quote.quote for line in triaged.novel] == ["ERROR flux at 7", "odd end"]
    assert "before it failed at 2025-09-07 10:02:10Z" in triaged.ranked_by


def test_logs_of_a_good_time_leave_what_is_new(tmp_path: Path) -> None:
    green = write_array(tmp_path / "green.json", GOOD)
    bad = [*served("chat-00003-6kk", 100, 4), said("ERROR flux at 7", 130, **NEW)]
    triaged = triage(tmp_path, bad, green)
    assert triaged.novel[0].quote.quote == "ERROR flux at 7"
    assert "green.json" in triaged.ranked_by
    assert not any("--green" in text for text in (*triaged.next, *triaged.unknown))


def test_requests_that_fail_for_good_are_told_where_no_log_says_why(tmp_path: Path) -> None:
    fails = [asked("/api/discovery", 500, 100 + n) for n in range(3)]
    triaged = triage(tmp_path, [*GOOD, *fails])
    assert triaged.exit_code != 0
    assert any("/api/discovery 500" in line.quote.quote for line in triaged.novel)


LONG = """============================= test session starts ==============================
collected 3 items

tests/test_a.py F.E                                                      [100%]

==================================== ERRORS ====================================
_________________________ ERROR at setup of test_setup _________________________

    @pytest.fixture
    def bad():
>       raise RuntimeError("no server")
E       RuntimeError: no server

tests/test_a.py:14: RuntimeError
=================================== FAILURES ===================================
___________________________________ test_nm ____________________________________

    def test_nm():
>       t = JourneyTester()
E       NameError: name 'JourneyTester' is not defined

tests/test_a.py:4: NameError
----------------------------- Captured stdout call -----------------------------
JWT_SECRET_STAGING required in staging
=========================== short test summary info ============================
FAILED tests/test_a.py::test_nm - NameError: name 'JourneyTester' is not defined
ERROR tests/test_a.py::test_setup - RuntimeError: no server
==================== 1 failed, 1 passed, 1 error in 1.32s ======================
"""


def test_a_broken_test_is_told_from_pytests_output(tmp_path: Path) -> None:
    broken = [f for f in triage(tmp_path, LONG).findings if f.signature == "test.broken"]
    assert broken
    assert broken[0].cases == ("tests/test_a.py::test_nm",)
    assert "NameError: name 'JourneyTester' is not defined" in quotes(broken[0])


@pytest.mark.parametrize(
    "text",
    [
        "collected 0 items\n\n============ no tests ran in 0.01s ============\n",
        "collected 6 items / 6 deselected / 0 selected\n\n==== 6 deselected in 0.31s ====\n",
        "collected 6 items\n\ntests/test_a.py ssssss [100%]\n\n==== 6 skipped in 0.31s ====\n",
        "6 skipped in 0.31s\n",
    ],
)
def test_a_session_that_ran_nothing_is_no_proof(tmp_path: Path, text: str) -> None:
    assert cause(triage(tmp_path, text)).signature == "test.nothing-collected"


@pytest.mark.parametrize(
    "text",
    [
        "===== test session starts =====\ncollected 2 items\n\ntests/test_errors.py ..   [100%]\n\n"
        "===== 2 passed, 1 warning in 0.31s =====\n",
        "tests/test_errors.py::test_ERROR_is_told PASSED\n2 passed, 3 skipped in 8.20s\n",
    ],
)
def test_a_session_that_passed_is_green(tmp_path: Path, text: str) -> None:
    triaged = triage(tmp_path, text)
    assert (triaged.findings, triaged.exit_code) == ((), 0)


def test_a_service_is_known_by_its_own_lines_in_a_file_of_several(tmp_path: Path) -> None:
    lines = "api-1  | INFO: fine\nworker-1  | INFO: fine\nworker-1  | exited with code 3\n"
    found = cause(triage(tmp_path, lines * 2))
    assert (found.signature, found.service) == ("deploy.exit-code", "worker")


def test_a_command_shows_the_entry_and_another_asks_cloud_logging_around_it(
    tmp_path: Path,
) -> None:
    shown, asks, compare = triage(tmp_path, startup_crash()).next
    assert shown.startswith("jq '.[")
    assert asks.startswith('gcloud logging read \'resource.labels.service_name="chat"')
    assert "--project=acme-staging" in asks
    assert compare == f"loopctl triage --logs {tmp_path}/x --green GOOD_LOG"


SECRETS = (
    "hunter22abc", "s3cr3tpassw0rd", "AKIAABCDEFGHIJKLMNOP", "MIIEowIBAAKCAQEAtopsecretkeybody",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
)  # fmt: skip


def test_what_looks_like_a_credential_is_shown_nowhere(tmp_path: Path) -> None:
    lines = [
        f"ERROR login failed: password={SECRETS[0]}",
        f"ERROR cannot reach postgres://chat:{SECRETS[1]}@db/chat",
        f'ERROR put refused {{"key_id": "{SECRETS[2]}"}}',
        "ERROR loaded -----BEGIN RSA PRIVATE KEY-----",
        SECRETS[3],
        "-----END RSA PRIVATE KEY-----",
        f"ERROR token rejected: Authorization: Bearer {SECRETS[4]}",
        "ERROR DB_PASSWORD required in staging",
    ]
    triaged = triage(tmp_path, "\n".join(lines))
    told = repr(triaged)
    assert not [secret for secret in SECRETS if secret in told]
    assert "DB_PASSWORD required in staging" in told


def test_every_file_that_is_no_log_is_told_at_once(tmp_path: Path) -> None:
    binary = tmp_path / "a.bin"
    binary.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(UsageError) as refused:
        triage_logs(LogsRequest((tmp_path, binary), (tmp_path / "absent",)), io.BytesIO())
    assert len(refused.value.problems) == 3


def test_our_own_kept_logs_are_read_with_their_requests(tmp_path: Path) -> None:
    at = {"at": "2025-09-07T10:00:00+00:00", "service": "chat", "revision": "chat-00002-abc"}
    log = [at | {"stream": "stderr", "text": line} for line in IN_ASGI.strip().split("\n")]
    request = at | {"method": "GET", "path": "/api/discovery", "status": 500, "event": "request"}
    why = {"close_reason": "Factory SSOT validation failed", "closed_by": "service"}
    closed = at | {"method": "GET", "path": "/ws", "event": "close", "close_code": 1011} | why
    text = "".join(json.dumps(row) + "\n" for row in (*log, request, closed))
    told = {finding.signature for finding in triage(tmp_path, text).findings}
    assert {"http.500-novel", "ws.closed-1011"} <= told


def test_the_code_that_a_traceback_shows_is_no_evidence(tmp_path: Path) -> None:
    export = tmp_path / "orders.log"
    export.write_text(
        "INFO started\n"
        "Traceback (most recent call last):\n"
        '  File "/srv/orders/store.py", line 8, in opened\n'
        '    pool = connect("postgresql://pg:5432/orders", timeout=5)  # timed out\n'
        "TypeError: connect() got an unexpected keyword argument 'timeout'\n"
    )
    found = triage_logs(LogsRequest((export,))).findings
    assert [finding.signature for finding in found] == ["service.interface-changed"]


def test_one_line_of_compose_is_one_finding_of_the_service_that_it_names(tmp_path: Path) -> None:
    export = tmp_path / "stack.log"
    export.write_text("web  | INFO ready\nworker | loading shard 7\nworker exited with code 137\n")
    found = triage_logs(LogsRequest((export,))).findings
    assert [(f.signature, f.service) for f in found] == [("deploy.out-of-memory", "worker")]
