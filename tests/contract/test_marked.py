"""Processes are found and killed by their environment, wherever they have got to."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

from loopctl.marked import kill_marked

NAME = "MARK_OF_A_TEST"


def sleeping(mark: str, **how: bool) -> subprocess.Popen[bytes]:
    env = {**os.environ, NAME: mark}
    return subprocess.Popen(["sleep", "60"], env=env, **how)  # type: ignore[call-overload,no-any-return]


def test_all_that_bear_the_mark_are_killed_and_nobody_else() -> None:
    ours, others = uuid.uuid4().hex, uuid.uuid4().hex
    marked = [sleeping(ours), sleeping(ours, start_new_session=True)]
    spared = sleeping(others)
    try:
        assert kill_marked(NAME, ours) == 2
        assert [child.wait(10) for child in marked] == [-9, -9]
        assert spared.poll() is None
        assert kill_marked(NAME, ours) == 0
    finally:
        spared.kill()
        spared.wait()


def test_whoever_asks_and_those_above_it_are_spared() -> None:
    mark = uuid.uuid4().hex
    asks = f"from loopctl.marked import kill_marked; print(kill_marked({NAME!r}, {mark!r}))"
    script = 'sleep 60 & "$0" -c "$1"; echo alive'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, asks],
        env={**os.environ, NAME: mark},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split() == ["1", "alive"]
