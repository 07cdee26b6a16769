"""What a service prints is captured exactly, redacted, bounded, and never in anybody's way."""

from __future__ import annotations

import base64
import json
import statistics
import time
from datetime import timedelta

import pytest
from docker_rig import RIGS, each_rig
from platform_rig import (
    SERVE,
    STARTED,
    HostedRig,
    LocalRig,
    a_local_rig,
    get,
    wait_for,
)
from slow import but_slow

from loopctl.errors import Stopped
from loopctl.model.artifact import ServiceState
from loopctl.model.logs import LogEntry, LogWindow
from loopctl.platforms.host.log_file import LogFile, stamp
from loopctl.platforms.host.log_lines import CONTINUES
from loopctl.process import Stop

rig = pytest.fixture(a_local_rig)

either = pytest.fixture(params=RIGS)(each_rig)


def printed(either: HostedRig, main: str, stream: str = "stdout") -> list[LogEntry]:
    revision = either.deploy(main, either.hold())
    either.dead(revision)
    entries, coverage = either.log(revision)
    assert coverage.complete
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    return [entry for entry in entries if entry.stream == stream]


def end(url: str, code: int) -> None:
    """Let the service exit; the front door answers for it."""
    assert get(url, f"/exit?{code}")[0] in (502, 503)


def test_lines_are_exact_whatever_bytes_they_hold(either: HostedRig) -> None:
    main = r"""
        import os
        os.write(1, b"plain\n\n  indented\ttab\n")
        os.write(1, "gr\u00fc\u00dfe \U0001f600\n".encode())
        os.write(1, b"bad \xff\xfe bytes\n\x1b[31mred\x1b[0m\r\n")
        os.write(1, b"| **md** <b> `x`\n")
        os.write(1, b"no line feed at the end")
    """
    assert [entry.text for entry in printed(either, main)] == [
        "plain",
        "",
        "  indented\ttab",
        "gr\u00fc\u00dfe \U0001f600",
        "bad \\xff\\xfe bytes",
        "\x1b[31mred\x1b[0m\r",
        "| **md** <b> `x`",
        "no line feed at the end",
    ]


@pytest.mark.parametrize("either", but_slow(RIGS, ("local",)), indirect=True)
def test_a_line_of_ten_megabytes_is_split_with_marks_and_loses_nothing(either: HostedRig) -> None:
    main = "import sys\nsys.stdout.write('ä' + 'xyz\u20ac' * 1_700_000 + '\\nnext\\n')"
    *pieces, last, after = [entry.text for entry in printed(either, main)]
    assert after == "next"
    assert all(piece.endswith(CONTINUES) for piece in pieces)
    whole = "".join(piece.removesuffix(CONTINUES) for piece in pieces) + last
    assert whole == "ä" + "xyz\u20ac" * 1_700_000


@pytest.mark.parametrize("kind", RIGS)
def test_a_secret_is_in_no_capture_however_it_is_written(kind: str) -> None:
    secret = "s3cr3t-Value-9"
    with RIGS[kind]({"PASSWORD": secret}) as rig:
        main = """
            import base64, os, time
            value = os.environ["PASSWORD"]
            print("plain", value, flush=True)
            print("coded", base64.b64encode(value.encode()).decode(), flush=True)
            os.write(1, b"split " + value[:5].encode())
            time.sleep(0.1)
            os.write(1, value[5:].encode() + b"\\n")
            print("number internal-123456 of the user's pattern")
            os.write(2, value.encode())
        """
        out = printed(rig, main)
        texts = [entry.text for entry in out]
        assert [text.split()[0] for text in texts] == ["plain", "coded", "split", "number"]
        code = base64.b64encode(secret.encode()).decode()
        for file in rig.place.state.rglob("*.jsonl"):
            for hidden in (secret, code, "123456"):
                assert hidden not in file.read_text()
        assert texts[0] == texts[2].replace("split", "plain") == "plain [redacted:PASSWORD]"


@pytest.mark.parametrize("either", but_slow(RIGS, ("local",)), indirect=True)
def test_a_service_that_floods_its_log_is_captured_whole_and_slows_nobody_down(
    either: HostedRig,
) -> None:
    held = either.hold()
    calm = either.deploy(SERVE, held, share="all")
    either.ready(calm)
    state = either.platform.observe("chat", either.stop)
    assert isinstance(state, ServiceState)
    flood = "for n in range(200_000): print('line', n, 'of a flood')"
    revision = either.deploy(flood, held)
    latencies: list[float] = []
    deadline = time.monotonic() + 20
    while "Dead" not in type(either.status(revision)).__name__:
        began = time.monotonic()
        assert get(state.url)[0] == 200
        latencies.append(time.monotonic() - began)
        assert time.monotonic() < deadline
    # Not the worst: on a busy machine that is the scheduler's.
    assert statistics.median(latencies) < 0.1
    entries, coverage = either.log(revision)
    assert coverage.complete
    texts = [entry.text for entry in entries if entry.stream == "stdout"]
    assert texts == [f"line {n} of a flood" for n in range(200_000)]


def test_a_window_holds_exactly_its_entries(rig: LocalRig) -> None:
    folder = rig.place.state / "logs" / "chat"
    folder.mkdir(parents=True)
    for name, start in (("chat-00001-abc", 0), ("chat-00002-abc", 1)):
        lines = [
            {"t": stamp(STARTED + timedelta(seconds=n)), "n": n + 1, "stream": "stdout"}
            | {"revision": name, "text": str(n)}
            for n in range(start, 10, 2)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def texts(first: float, last: float, revision: str | None = None) -> list[str]:
        got: list[str] = []
        since, until = STARTED + timedelta(seconds=first), STARTED + timedelta(seconds=last)
        window = LogWindow("chat", since, until, revision)
        coverage = rig.logs.read(window, lambda entry: got.append(entry.text), rig.stop)
        assert (coverage.complete, coverage.until) == (True, until)
        return got

    assert texts(0, 9) == [str(n) for n in range(10)]
    assert texts(2, 5) == ["2", "3", "4", "5"]
    assert texts(2.000001, 4.999999) == ["3", "4"]
    assert texts(2, 5, "chat-00001-abc") == ["2", "4"]
    assert texts(20, 30) == []


def test_following_gives_what_was_and_what_comes_until_it_is_stopped(either: HostedRig) -> None:
    main = "import sys\nprint('early', flush=True)\nfrom web import serve\nserve()\n"
    held = either.hold()
    revision = either.deploy(main, held)
    url = either.ready(revision).url
    with Stop(20).child() as stop:
        texts: list[str] = []
        for entry in either.logs.follow(LogWindow("chat", STARTED), stop):
            texts.append(entry.text)
            if entry.text == "early":
                end(url, 4)
            if entry.text.startswith("exited with 4"):
                stop.stop("seen")
    assert "early" in texts
    with pytest.raises(Stopped):
        stop.remaining(1)


def test_a_full_log_keeps_its_beginning_and_its_end_and_tells_the_gap(rig: LocalRig) -> None:
    folder = rig.place.state / "logs" / "chat"
    folder.mkdir(parents=True)
    log = LogFile(folder / "chat-00001-abc.jsonl", "chat-00001-abc", largest=100_000)
    for n in range(1000):
        log.write("stdout", [f"{n} " + "x" * 1000])
    log.settle()
    log.close()
    entries: list[LogEntry] = []
    coverage = rig.logs.read(LogWindow("chat", STARTED), entries.append, rig.stop)
    numbers = [int(e.text.split()[0]) for e in entries if e.stream == "stdout"]
    missing = sorted(set(range(1000)) - set(numbers))
    assert numbers[0] == 0
    assert numbers[-1] == 999
    assert coverage.gap == f"{len(missing)} lines of chat-00001-abc were dropped"
    assert (folder / "chat-00001-abc.jsonl").stat().st_size < 500_000


def test_the_log_says_when_it_started_listened_and_ended(either: HostedRig) -> None:
    revision = either.deploy(SERVE, either.hold())
    url = either.ready(revision).url
    end(url, 5)
    either.dead(revision)
    wait_for(lambda: either.log(revision)[1].complete)
    said = [entry.text for entry in either.log(revision)[0] if entry.stream == "system"]
    assert [text.split()[0] for text in said] == ["started", "listens", "exited"]
