"""Which remedy is taken, how often, and how far a mode lets it go."""

from __future__ import annotations

import pytest
from rig import Project, Ran, met_by_users
from services import suite
from word_loop import (
    REPAIRS,
    ended,
    remedy,
    rule,
    run_rule,
    script,
    serve_unverified,
    still_served,
    word_loop,
    worklog,
)


@pytest.mark.parametrize("mode", [pytest.param("propose", marks=pytest.mark.slow), "auto"])
def test_a_proposed_remedy_is_a_command_to_be_typed(project: Project, mode: str) -> None:
    """`--remediate propose` keeps a loop that allows more from doing it."""
    script(project, REPAIRS)
    command = ["./fix.sh", "web", "it's"]
    word_loop(project, {**run_rule(), "command": command}, mode=mode)
    ran = project.run("web", *(["--remediate", "propose"] if mode == "auto" else []))
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "proposed"
    assert """NEXT: ./fix.sh web 'it'"'"'s'""" in ran.out.splitlines()
    proposed = "run: the loop file asks for it (verdict red)"
    assert ran.line("TRIED") == f"TRIED: nothing; proposed: {proposed}"
    assert (project.root / "web" / "word.txt").read_text() == "bad\n"


@pytest.mark.slow
def test_remediation_that_is_off_is_off(project: Project) -> None:
    script(project, REPAIRS)
    word_loop(project, run_rule())
    ran = project.run("web", "--remediate", "off")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "none"
    assert "NEXT: ./fix.sh" not in ran.out
    assert not (ran.run / "bundle").exists()


def test_a_mode_beyond_the_loop_files_is_refused_before_anything_is_done(project: Project) -> None:
    script(project, REPAIRS)
    word_loop(project, run_rule(), mode="propose")
    ran = project.run("web", "--remediate", "auto")
    assert ran.code == 2, str(ran)
    assert "--remediate auto: the loop file allows propose at most" in ran.err
    assert "set remediate.mode to auto in web.yaml" in ran.err
    assert not project.run_folders()


@pytest.mark.slow
def test_where_the_loop_file_names_no_mode_the_option_decides(project: Project) -> None:
    script(project, REPAIRS)
    word_loop(project, run_rule())
    loop = project.root / "loops" / "web.yaml"
    project.write("loops/web.yaml", loop.read_text().replace("  mode: auto\n", ""))
    project.commit()
    proposed = project.run("web")
    assert ended(proposed) == (1, "needs-human", 1), str(proposed)
    done = project.run("web", "--remediate", "auto")
    assert ended(done) == (0, "green", 2), str(done)


@pytest.mark.slow
def test_the_first_rule_that_fits_is_taken_and_each_as_often_as_it_may_be(
    project: Project,
) -> None:
    """Rules by stage, verdict, suite, service and signature; what does not fit is passed over."""
    script(project, "date +%N > web/unused.txt\n")
    rules = [
        rule("rollback", {"stage": "health"}),
        rule("rollback", {"suite": "another"}),
        rule("rollback", {"signature": "deploy.exit-code"}),
        rule("retry", {"stage": "verify", "suite": "smoke"}),
        run_rule({"service": "web", "verdict": "red"}, limit=2),
        rule("rollback", {"verdict": "unproven"}),
    ]
    another = suite(project, name="another")
    limits = {"max_cycles": 9, "no_progress": 9}
    word_loop(project, *rules, limits=limits, more_suites=[another])
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 4), str(ran)
    actions = [cycle["remedy"]["action"] for cycle in ran.result["cycles"]]
    assert actions == ["retry", "run", "run", "person"]
    said = remedy(ran)["detail"]
    assert said == (
        "nothing is left to try within the limits: "
        "retry once (remediate.rules[3]), run 2 times (remediate.rules[4])"
    )
    assert said in ran.line("TRIED"), "why it ended is told"


@pytest.mark.slow
def test_a_run_goes_round_as_often_as_it_may(project: Project) -> None:
    script(project, "date +%N > web/unused.txt\n")
    word_loop(project, run_rule(limit=9), limits={"max_cycles": 9})
    ran = project.run("web", "--max-cycles", "2")
    assert ended(ran) == (1, "max-cycles", 2), str(ran)
    assert "2 of 2 cycles are over" in ran.line("TRIED")
    assert "NEXT: ./fix.sh" in ran.out, "it could still help"


@pytest.mark.slow
def test_a_rebuild_builds_anew_and_the_same_source_fails_again(project: Project) -> None:
    word_loop(project, rule("rebuild"))
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    assert remedy(ran, 0)["action"] == "rebuild"
    assert ran.stages()[0] == "build"
    images = {cycle["services"][0]["image"] for cycle in ran.result["cycles"]}
    assert len(images) == 1, "the same source is the same image"


@pytest.mark.slow
def test_a_rollback_goes_back_to_the_last_verified_revision(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    bad = serve_unverified(project)
    good = before.service("web")["revision"]
    word_loop(project, rule("rollback"))
    ran = project.run("web")
    assert ended(ran) == (1, "rolled-back", 1), str(ran)
    assert ran.result["verdict"] == "red", "an old revision's green is never this commit's"
    assert met_by_users(before.stable_url) == good
    done = f"TRIED: cycle 1: rollback, done: web from {bad} 100 % to {good} 100 %"
    assert ran.line("TRIED").startswith(f"{done} (mended: {good} is healthy (HTTP 200 in ")
    assert remedy(ran)["mended"] is True
    assert f"web: {good} 100 %" in ran.first_line
    assert ", verified, changed by this run" in ran.first_line
    left = ran.result["left"][0]
    assert left["traffic"] == {good: 100}
    assert (left["verified"], left["changed_by_run"]) == (True, True)
    assert worklog(ran).count("rollback") > 0


@pytest.mark.slow
def test_a_first_run_has_nothing_to_roll_back_to_and_says_so(project: Project) -> None:
    word_loop(project, rule("rollback"))
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "failed"
    assert "no verified revision of web" in ran.line("TRIED")
    assert "UNVERIFIED" in ran.first_line
    assert project.serving("web")["web"] == {ran.service("web")["revision"]: 100}


@pytest.mark.slow
def test_a_rollback_also_follows_the_last_cycle_that_may_be(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    script(project, "date +%N > web/unused.txt\n")
    word_loop(project, run_rule(), rule("rollback"), limits={"max_cycles": 2})
    ran = project.run("web")
    assert ended(ran) == (1, "rolled-back", 2), str(ran)
    still_served(ran, before)


EXITS = "print('ERROR: no such table: users', flush=True)\nsys.exit(3)\n"


def test_a_known_cause_is_acted_upon_by_itself_only_when_it_is_sure(
    served: tuple[Project, Ran],
) -> None:
    """The catalogue's own remedies: both would go back, and `act_at` is 0.9."""
    project, before = served
    word_loop(project, prelude=EXITS)
    unsure = project.run("web")
    assert ended(unsure) == (5, "needs-human", 1), str(unsure)
    assert unsure.findings()["deploy.exit-code"]["confidence"] < 0.9
    assert remedy(unsure)["action"] == "person"
    still_served(unsure, before)
    word_loop(project, rule("rollback", {"signature": "deploy.exit-code"}), prelude=EXITS)
    asked = project.run("web")
    assert ended(asked) == (5, "rolled-back", 1), "a rule of the loop file wants no certainty"
    still_served(asked, before)

    project.write("web/words.py", "raise LookupError('no words')\n")
    # It ends the run, so it is not bound by how often the run may go round.
    word_loop(project, prelude="import words\n", limits={"max_cycles": 1, "no_progress": 1})
    sure = project.run("web")
    assert ended(sure) == (5, "rolled-back", 1), str(sure)
    found = sure.findings()["deploy.import-time-error"]
    assert found["confidence"] >= 0.9
    assert found["remedy"] == {"action": "rollback", "mode": "auto", "result": "done"}
    assert "rollback, done" in sure.line("TRIED")
    still_served(sure, before)


CLOSES = r"""
import base64, hashlib, struct

class Closes(Handler):
    def do_GET(self):
        if self.path != "/ws":
            return super().do_GET()
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        print("INFO main cleanup closes 1 socket", flush=True)
        reason = b"main cleanup"
        self.wfile.write(bytes([0x88, 2 + len(reason)]) + struct.pack("!H", 1000) + reason)
        self.wfile.flush()
        self.close_connection = True
Handler = Closes
"""

LISTENS = """
def test_events_come():
    from websockets.sync.client import connect
    with connect(BASE.replace("http", "ws") + "/ws") as socket:
        socket.recv(timeout=5)
"""


@pytest.mark.slow
def test_a_known_cause_is_retried_once_and_then_left_to_a_person(project: Project) -> None:
    word_loop(project, tests=LISTENS, prelude=CLOSES, limits={"no_progress": 9})
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 2), str(ran)
    first = ran.result["cycles"][0]
    assert first["findings"][0]["signature"] == "ws.closed-1000"
    assert first["findings"][0]["confidence"] >= 0.95
    assert (first["remedy"]["action"], first["remedy"]["result"]) == ("retry", "done")
    assert "nothing is left to try within the limits: retry once (ws.closed-1000)" in ran.line(
        "TRIED"
    )
