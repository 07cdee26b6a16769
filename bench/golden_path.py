"""The golden path

`loopctl run golden-path` beside a shell script of the same steps, which proves nothing: copy,
start, poll the health path, stay healthy for the loop's 2.5 s, ask the five requests and the five
sockets of the declared suites, run pytest for each of the five others, stop. One run of each comes
first and does not count, so that both find their bytecode; loopctl's control run is made in that
one, for nothing changes after it. loopctl also collects every suite before it is run, while the
service must stay healthy, and runs two suites of one priority side by side, as its file allows.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.project import ROOT, Project, environ, project
from bench.table import Row, in_turn, seconds, timed

PART = "a"
_ROUNDS = 3
_FACTOR = 1.05
_SLACK_S = 0.5

SUITES = """
python -c "$PROBES"
for suite in auth events message_flow first_time_journey concurrency; do
  python -m pytest -q -p no:cacheprovider "tests/test_$suite.py"
done
"""

_SCRIPT = f"""
set -eu
cp -r "$SOURCE/examples/chat" copy
cd copy
python -m chat >../service.log 2>&1 &
service=$!
trap 'kill $service' EXIT
python -c "$HEALTHY"
{SUITES}
"""

HEALTHY = """
import os, time, urllib.request
def healthy():
    try:
        return urllib.request.urlopen(os.environ["BASE_URL"] + "/health", timeout=5).status == 200
    except OSError:
        return False
while not healthy():
    time.sleep(0.05)
time.sleep(2.5)
assert healthy()
"""


PROBES = """
import json, os, httpx
from websockets.sync.client import connect
with httpx.Client(base_url=os.environ["BASE_URL"], trust_env=False) as client:
    wrong = {"user": "nobody", "password": "wrong"}
    assert client.get("/agents").status_code == 200
    assert client.get("/messages").status_code == 401
    assert client.get("/messages", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.post("/login", json=wrong).status_code == 401
    assert client.post("/signup", json={"user": "nobody"}).status_code == 400
for _ in range(5):
    with connect(os.environ["WS_URL"] + "/ws/guest", proxy=None) as socket:
        socket.send(json.dumps({"type": "chat", "content": "6*7"}))
        while json.loads(socket.recv(timeout=10))["type"] != "agent_completed":
            pass
"""


def rows() -> Iterator[Row]:
    """One comparison."""
    with project("golden-path") as made:
        for part in ("loops", "examples"):
            shutil.copytree(ROOT / part, made.folder / part)

        def loopctl() -> float:
            return timed(lambda: made.loopctl("run"))

        def script() -> float:
            return timed(lambda: _script(made))

        in_turn(loopctl, script, 1)
        pair = in_turn(loopctl, script, _ROUNDS)
        yield Row(
            "a",
            "the whole golden path",
            seconds(pair.ours),
            pair.beside(seconds, "a shell script of the same steps"),
            f"≤ {_FACTOR} × or + {_SLACK_S:g} s",
            pair.ours <= max(pair.theirs * _FACTOR, pair.theirs + _SLACK_S),
        )


def _script(made: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    told = {
        "SOURCE": str(made.folder),
        "HEALTHY": HEALTHY,
        "PROBES": PROBES,
        "PORT": port,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "WS_URL": f"ws://127.0.0.1:{port}",
        "JWT_SECRET": "a-secret-for-one-minute-0123456789",
    }
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            ["sh", "-c", _SCRIPT],
            cwd=Path(work),
            env=environ(**told),
            check=True,
            capture_output=True,
            timeout=120,
        )
