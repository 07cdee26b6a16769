"""The plugin in real pytest processes, against real HTTP and WebSocket servers on this machine."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from evidence_rig import CLIENTS, PLAIN, SEED, Target, Watched, running_target, watch

OFF = {"LOOPCTL_SPOOL": ""}


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_target() as running:
        yield running


def interpreters() -> list[str]:
    """This interpreter, and those named in `LOOPCTL_TEST_PYTHONS`, which need pytest only."""
    return [sys.executable, *filter(None, os.environ.get("LOOPCTL_TEST_PYTHONS", "").split(":"))]


@pytest.fixture(scope="module", params=interpreters())
def plain(
    request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> Watched:
    folder = tmp_path_factory.mktemp("plain")
    return watch(folder, PLAIN, target.environment, "-v", python=request.param)


@pytest.fixture(scope="module")
def clients(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return watch(tmp_path_factory.mktemp("clients"), CLIENTS, target.environment)


def exchanged(contact: Mapping[str, Any]) -> bool:
    return bool(contact["target"] == "chat" and contact["sent"] and contact["received"])


def test_the_stream_is_whole_private_and_without_a_fault_of_its_own(plain: Watched) -> None:
    assert plain.of("plugin-error") == []
    assert plain.spool.stat().st_mode & 0o777 == 0o600
    [start], [end] = plain.of("session-start"), plain.of("session-end")
    assert (start["xdist"], start["worker"], end["exitstatus"]) == (None, None, plain.returncode)
    [collected] = plain.of("collected")
    assert [line["id"] for line in plain.of("test-start")] == collected["ids"]
    assert [line["id"] for line in plain.of("test-end")] == collected["ids"]
    own = [line["seq"] for line in plain.lines if line["pid"] == start["pid"]]
    assert own == list(range(1, len(own) + 1))


def test_outcomes_are_the_same_without_the_plugin_and_nothing_is_written(
    plain: Watched, target: Target, tmp_path: Path
) -> None:
    bare = watch(tmp_path, PLAIN, {**target.environment, **OFF}, "-v", python=plain.python)
    assert not bare.spool.exists()
    assert bare.verdicts() == plain.verdicts()
    assert len(bare.verdicts()) == len(plain.of("collected")[0]["ids"])


@pytest.mark.parametrize(
    "test", ["test_urllib", "test_raw", "test_dropped_unclosed", "test_thread", "test_spied"]
)
def test_bytes_both_ways_are_seen_in_the_call(plain: Watched, test: str) -> None:
    contact = plain.contact(test)
    assert exchanged(contact)
    assert (contact["connected_in"], contact["reused"], contact["failed"]) == ("call", False, None)


def test_bytes_are_counted_exactly(plain: Watched) -> None:
    contact = plain.contact("test_raw")
    assert contact["sent"] == len(b"GET /raw HTTP/1.0\r\n\r\n")


def test_a_test_without_contact_has_none(plain: Watched) -> None:
    assert plain.phase("test_no_contact")["contacts"] == []


def test_a_connect_without_a_word_moves_no_bytes(plain: Watched) -> None:
    contact = plain.contact("test_connect_only")
    assert (contact["target"], contact["sent"], contact["received"]) == ("chat", 0, 0)


def test_an_answer_that_nobody_took_has_moved_no_bytes(plain: Watched) -> None:
    contact = plain.contact("test_answer_left_unread")
    assert contact["sent"] == len(b"GET /unread HTTP/1.0\r\n\r\n")
    assert contact["received"] == 0


def test_a_fixtures_traffic_is_not_the_calls(plain: Watched) -> None:
    assert exchanged(plain.contact("test_fixture_only", "setup"))
    assert plain.phase("test_fixture_only")["contacts"] == []


def test_a_connection_kept_alive_by_a_fixture_is_seen_when_reused(plain: Watched) -> None:
    contact = plain.contact("test_reused")
    assert exchanged(contact)
    assert (contact["reused"], contact["connected_in"]) == (True, "earlier")


def test_elsewhere_is_no_target_and_says_why_it_failed(plain: Watched) -> None:
    contact = plain.contact("test_refused_elsewhere")
    assert (contact["target"], contact["failed"]) == (None, "ECONNREFUSED")
    assert contact["loopback"]


def test_alike_connections_are_added_up_and_silent_ones_stay_apart(plain: Watched) -> None:
    silent, spoken = sorted(plain.phase("test_many")["contacts"], key=exchanged)
    assert (silent["count"], silent["sent"], silent["received"]) == (40, 0, 0)
    assert (spoken["count"], exchanged(spoken)) == (1, True)


def test_a_child_is_named_and_its_arguments_are_not(plain: Watched) -> None:
    children = plain.phase("test_child")["children"]
    assert {child["name"] for child in children} == {"sh"}
    assert "s3cr3t" not in plain.spool.read_text()


def test_a_forked_childs_contact_is_told_at_once(plain: Watched) -> None:
    [told] = plain.of("child-contact")
    assert told["id"].endswith("::test_forked_child")
    assert (told["phase"], told["contact"]["target"]) == ("call", "chat")
    assert told["pid"] != plain.of("session-start")[0]["pid"]


def test_each_request_carries_the_trace_of_its_own_test_and_phase(
    plain: Watched, target: Target
) -> None:
    unique = "\0".join((SEED, plain.phase("test_urllib")["id"], "call", "1"))
    expected = hashlib.sha256(unique.encode()).hexdigest()[:32]
    assert plain.phase("test_urllib")["trace"] == expected
    assert expected in target.traces("/urllib?token=s3cr3t")
    assert plain.phase("test_fixture_only", "setup")["trace"] in target.traces("/warm")
    traces = [line["trace"] for line in plain.of("phase")]
    assert len(set(traces)) == len(traces)


def test_a_tests_own_trace_is_kept_and_reported(plain: Watched, target: Target) -> None:
    assert set(target.traces("/own")) == {"a" * 32}
    assert plain.phase("test_own_trace")["own_traces"] == ["a" * 32]


def test_no_trace_is_put_in_with_receipts_off(target: Target, tmp_path: Path) -> None:
    text = (
        "import os, urllib.request as u\ndef test_x(): u.urlopen(os.environ['ZOO_HTTP'] + '/off')"
    )
    seen = watch(tmp_path, text, {**target.environment, "LOOPCTL_RECEIPTS": "off"})
    assert exchanged(seen.contact("test_x"))
    assert target.seen["/off"] == [None]


def test_answers_are_seen_with_status_and_without_query(plain: Watched) -> None:
    [answer] = plain.phase("test_urllib")["http"]
    assert (answer["path"], answer["status"], answer["health"]) == ("/urllib", 200, False)
    assert plain.phase("test_health")["http"][0]["health"]


def test_replaced_network_code_is_named_where_it_is_in_force(plain: Watched) -> None:
    [patched] = plain.phase("test_patched")["mocks"]
    assert patched == {"what": "http.client.HTTPConnection.request", "how": "mock.patch"}
    faked = {"what": "socket.create_connection", "how": "monkeypatch"}
    assert plain.phase("test_monkeypatched_in_setup", "setup")["mocks"] == [faked]
    assert plain.phase("test_monkeypatched_in_setup")["mocks"] == [faked]


@pytest.mark.parametrize(
    "test", ["test_spied", "test_clock_and_disk_faked", "test_after_the_fake_was_undone"]
)
def test_spies_clocks_and_fakes_undone_are_no_mocks(plain: Watched, test: str) -> None:
    assert plain.phase(test)["mocks"] == []


def test_faked_clocks_and_closed_descriptors_do_not_touch_the_stream(plain: Watched) -> None:
    times = [line["t"] for line in plain.lines]
    assert min(times) > 1_000_000_000
    assert exchanged(plain.contact("test_closes_what_it_does_not_own"))


@pytest.mark.parametrize(
    ("test", "phase", "outcome", "wasxfail", "strict"),
    [
        ("test_xfail", "call", "skipped", "known", False),
        ("test_xpass_strict", "call", "failed", None, True),
        ("test_skipped", "setup", "skipped", None, False),
        ("test_name_error", "call", "failed", None, False),
    ],
)
def test_outcomes_are_told_apart(
    plain: Watched, test: str, phase: str, outcome: str, wasxfail: str | None, strict: bool
) -> None:
    line = plain.phase(test, phase)
    seen = (line["outcome"], line["wasxfail"], line["xpass_strict"])
    assert seen == (outcome, wasxfail, strict)


def test_an_error_names_the_innermost_frame_last(plain: Watched) -> None:
    for test, phase, kind, function in (
        ("test_name_error", "call", "builtins.NameError", "test_name_error"),
        ("test_fixture_error", "setup", "builtins.ValueError", "broken"),
    ):
        exc = plain.phase(test, phase)["exc"]
        assert (exc["qualified"], exc["frames"][-1]["function"]) == (kind, function)


def test_an_error_keeps_its_cause_and_shows_no_frame_of_the_plugin(plain: Watched) -> None:
    exc = plain.phase("test_chained")["exc"]
    assert [(each["type"], each["relation"]) for each in exc["chained"]] == [
        ("ValueError", "cause")
    ]
    frames = [frame for each in (exc, *exc["chained"]) for frame in each["frames"]]
    assert not any("loopctl_" in frame["file"] for frame in frames)


def test_huge_and_dirty_text_is_cut_and_stays_valid(plain: Watched) -> None:
    line = plain.phase("test_huge_and_dirty")
    assert len(line["longrepr"]) < 20_100 + 2 * 4096  # the margins beside the cut
    assert len(line["exc"]["message"]) < 8_100 + 2 * 4096
    assert line["exc"]["message"].startswith("?\x1b[0mx")
    assert line["sections"]["stdout"] == "\x1b[31mred\n"
    assert max(map(len, plain.spool.read_bytes().splitlines())) < 100_000


@pytest.mark.parametrize(
    ("test", "path"),
    [
        ("test_requests", "/requests"),
        ("test_urllib3", "/urllib3"),
        ("test_httpx_unclosed", "/httpx_unclosed"),
        ("test_httpx_async", "/httpx_async"),
        ("test_websocket", "/websocket"),
        ("test_websocket_asyncio", "/websocket_asyncio"),
    ],
)
def test_common_clients_leave_bytes_status_and_trace(
    clients: Watched, target: Target, test: str, path: str
) -> None:
    assert clients.of("plugin-error") == []
    line = clients.phase(test)
    assert line["outcome"] == "passed"
    assert exchanged(clients.contact(test))
    assert target.traces(path) == [line["trace"]]
    status = 101 if "websocket" in test else 200
    assert [(each["path"], each["status"]) for each in line["http"]] == [(path, status)]


def test_no_trace_follows_a_redirect_to_another_host(clients: Watched, target: Target) -> None:
    line = clients.phase("test_redirect_to_another_host")
    assert target.traces("/away") == [line["trace"]]
    assert target.seen["/arrived"] == [None]
    assert line["own_traces"] == []


def test_what_a_session_fixture_holds_open_counts_only_where_used(clients: Watched) -> None:
    assert clients.phase("test_open_websocket_idle")["contacts"] == []
    for test in ("test_open_websocket_used", "test_kept_alive_client"):
        contact = clients.contact(test)
        assert exchanged(contact)
        assert contact["reused"]


def test_a_server_error_is_seen_as_such(clients: Watched) -> None:
    assert [each["status"] for each in clients.phase("test_only_errors")["http"]] == [503]


def test_an_in_process_transport_is_a_mock_and_no_answer(clients: Watched) -> None:
    line = clients.phase("test_mock_transport")
    assert line["mocks"] == [{"what": "httpx.MockTransport", "how": "transport"}]
    assert (line["http"], line["contacts"]) == ([], [])


VICTIM = """
import os
def test_before(): pass
def test_victim(): {}
def test_after(): pass
"""


@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 11)"]
)
def test_a_killed_run_keeps_every_line_and_names_its_victim(tmp_path: Path, end: str) -> None:
    dead = watch(tmp_path, VICTIM.format(end), {})
    started = [line["id"].rpartition("::")[2] for line in dead.of("test-start")]
    assert started == ["test_before", "test_victim"]
    assert [line["id"].rpartition("::")[2] for line in dead.of("test-end")] == ["test_before"]
    assert dead.phase("test_before", "teardown")["outcome"] == "passed"
    assert dead.of("session-end") == []


def test_xdist_workers_tell_each_test_once_and_the_controller_ends_the_session(
    target: Target, tmp_path: Path
) -> None:
    spread = watch(tmp_path, CLIENTS, target.environment, "-p", "xdist", "-n", "2")
    [controller] = [line for line in spread.of("session-start") if line["worker"] is None]
    assert controller["xdist"] == "controller"
    [ids] = [line["ids"] for line in spread.of("collected")]
    assert sorted(line["id"] for line in spread.of("test-start")) == sorted(ids)
    assert {line["worker"] for line in spread.of("phase")} == {"gw0", "gw1"}
    ends = {line["worker"]: line["exitstatus"] for line in spread.of("session-end")}
    assert ends == {None: 0, "gw0": 0, "gw1": 0}
    assert exchanged(spread.contact("test_requests"))


def test_a_worker_that_dies_leaves_its_victims_name(tmp_path: Path) -> None:
    dead = watch(tmp_path, VICTIM.format("os._exit(1)"), {}, "-p", "xdist", "-n", "2")
    [crash] = dead.of("crash")
    assert crash["id"].endswith("::test_victim")
    assert [line["exitstatus"] for line in dead.of("session-end") if line["worker"] is None] == [1]


@pytest.mark.parametrize(
    ("text", "event", "kind"),
    [
        ("import not_there_at_all", "collect-error", "ModuleNotFoundError"),
        ("not_defined", "collect-error", "NameError"),
        ("import pytest; pytest.importorskip('not_there_at_all')", "collect-skip", "Skipped"),
    ],
)
def test_a_module_that_cannot_be_collected_says_why(
    tmp_path: Path, text: str, event: str, kind: str
) -> None:
    seen = watch(tmp_path, text, {})
    [line] = seen.of(event)
    assert (line["id"], line["exc"]["type"]) == ("test_zoo.py", kind)
    assert seen.of("collection-end")[0]["count"] == 0


def test_a_broken_conftest_says_why(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("1 / 0")
    [line] = watch(tmp_path, "", {}).of("collect-error")
    assert "ZeroDivisionError" in (each["type"] for each in line["exc"]["chained"])


def test_a_connection_from_a_conftest_is_known_in_the_call(target: Target, tmp_path: Path) -> None:
    opening = "import http.client, os\nhost = os.environ['ZOO_HTTP'].rpartition('/')[2]\n"
    opening += "kept = http.client.HTTPConnection(host)\nkept.connect()\n"
    (tmp_path / "conftest.py").write_text(opening)
    text = "from conftest import kept\ndef test_x(): kept.request('GET', '/'); kept.getresponse()"
    contact = watch(tmp_path, text, target.environment).contact("test_x")
    assert (exchanged(contact), contact["reused"]) == (True, True)


def test_bad_settings_are_told_and_stop_nothing(tmp_path: Path) -> None:
    seen = watch(tmp_path, "def test_x(): pass", {"LOOPCTL_TARGETS": "{not json"})
    assert [line["where"] for line in seen.of("plugin-error")] == ["LOOPCTL_TARGETS"]
    assert (seen.returncode, seen.phase("test_x")["outcome"]) == (0, "passed")


def test_a_spool_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    lost = {"LOOPCTL_SPOOL": str(tmp_path / "no" / "such" / "folder")}
    assert watch(tmp_path, "def test_x(): pass", lost).returncode == 0
