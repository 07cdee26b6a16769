"""An export's lines are called bad by the levels that they state, and over by what came later."""

from __future__ import annotations

import pytest

from loopctl.triage.export.pieces import Piece
from loopctl.triage.export.taken_back import taken_back
from loopctl.triage.export.trouble import is_doubtful, is_trouble

_BAD = (
    "2025/06/02 09:14:07 [alert] 22#22: *300 800 worker_connections are not enough",
    "nginx: [emerg] bind() to 0.0.0.0:80 failed",
    "E0602 09:14:07.351157       1 leader.go:330] lease was not renewed",
    "[09:14:07 ERR] Printing of the label broke",
    "2025-06-02T09:14:07.351Z error: capture of the payment broke",
    "09:14:07.123 [error] GenServer Acme.Cache terminating",
    "fail: Acme.Worker[0]",
    "npm error Lifecycle script `lint` broke",
    "##[error]Process completed with exit code 77.",
    "src/a.ts(12,7): error TS2322: not assignable",
    "Tests:       4 failed, 31 passed, 35 total",
    "test result: FAILED. 17 passed; 3 failed",
    "  2 failing",
    "--- FAIL: TestSum (0.00s)",
    "thread 'main' panicked at src/main.rs:42:7:",
    "/srv/boot.rb:5:in `fetch': key not found (KeyError)",
    "** (KeyError) key :tax not found in: %{}",
    "spooler[12]: write of segment 8: OSError: [Errno 28] No space left on device",
    "fatal error: concurrent map writes",
    "panic: runtime error: index out of range [3] with length 3",
)
_WELL = (
    "2025-06-02 INFO retry after ERROR 500 went well",
    "ImportError: libvips is too old, falling back to Pillow",
    "2025-06-02 09:14:07.000 UTC [9] LOG:  could not receive data from client: reset by peer",
    '[error] 3#3: *1 open() "/x.ico" failed (2: No such file or directory), client: 1.1.1.1',
    "Tests:       9 passed, 9 total",
    "0 failing",
    "mailer-1 exited with code 143",
    "error_rate=0.01 errors=0",
)


@pytest.mark.parametrize("text", _BAD)
def test_a_line_that_states_an_error_is_trouble(text: str) -> None:
    assert is_trouble(Piece(1, text))


@pytest.mark.parametrize("text", _WELL)
def test_a_line_that_states_nothing_bad_is_not(text: str) -> None:
    assert not is_trouble(Piece(1, text))
    assert not is_doubtful(Piece(1, text))


@pytest.mark.parametrize(
    "text",
    ["WARN payments: a refund was lost", "WARN: NoMethodError: undefined method 'tax' for nil"],
)
def test_bad_news_at_the_level_of_a_warning_are_in_doubt(text: str) -> None:
    assert is_doubtful(Piece(1, text))


def test_a_warning_that_was_tried_again_and_went_well_is_over() -> None:
    told = (
        "WARN rates: attempt 1 timed out, retrying in 200 ms",
        "INFO rates: attempt 2 succeeded",
    )
    assert _taken_back(*told) == {1}
    assert not _taken_back(*reversed(told))


def _taken_back(*texts: str) -> frozenset[int]:
    pieces = [Piece(number, text) for number, text in enumerate(texts, 1)]
    for piece in pieces:
        piece.trouble = is_trouble(piece)
        piece.doubtful = is_doubtful(piece)
    return taken_back(pieces)


def test_what_was_tried_again_and_went_well_is_over() -> None:
    refused = "ERROR consumer: Cannot connect to mq:5672: Connection refused"
    again = "Trying again in 2 seconds"
    assert _taken_back(refused, again, refused, again, "Connected to mq:5672") == {1, 3}


def test_what_failed_once_more_after_it_went_well_is_not_over() -> None:
    refused = "ERROR consumer: Cannot connect to mq:5672: Connection refused"
    again = "Trying again in 2 seconds"
    assert not _taken_back(refused, again, "Connected to mq:5672", refused, again)


def test_what_nobody_tried_again_is_not_over() -> None:
    assert not _taken_back("ERROR: Connection refused by payments", "job 7 succeeded")


def test_what_tests_print_is_over_where_all_of_them_passed() -> None:
    printed = "2025/06/02 09:14:07 panic: boom"
    assert _taken_back("=== RUN   TestA", printed, "PASS", "ok  \tacme/api\t0.2s") == {2}
    assert not _taken_back("=== RUN   TestA", printed, "--- FAIL: TestA (0.1s)", "PASS")
