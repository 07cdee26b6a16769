"""What a remedy's command comes to: how the run ends, who serves then, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rig import Project, Ran, met_by_users
from slow import but_slow
from word_loop import (
    CASE,
    REPAIRS,
    WANTS_GOOD,
    ended,
    remedy,
    run_rule,
    script,
    still_served,
    word_loop,
    worklog,
)


def test_a_remedy_that_repairs_the_source_turns_the_next_cycle_green(project: Project) -> None:
    script(project, REPAIRS)
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (0, "green", 2), str(ran)
    assert ran.result["changes"] == {"fixed": [CASE], "new": [], "persisting": []}
    done = remedy(ran, 0)
    assert (done["action"], done["result"], done["changed_source"]) == ("run", "done", True)
    assert ran.result["cycles"][1]["remedy"] is None
    left = ran.result["left"][0]
    assert left["traffic"] == {ran.service("web")["revision"]: 100}
    assert (left["verified"], left["changed_by_run"]) == (True, True)
    assert "cycle 2 of at most 3" in ran.line("VERDICT")
    mended = "(mended: verify came to a good end)"
    assert ran.line("TRIED") == f"TRIED: cycle 1: run, done: ./fix.sh changed web/word.txt {mended}"
    assert remedy(ran, 0)["mended"] is True
    assert "with uncommitted changes" in ran.line("WHERE"), "what serves stands in no commit"
    told = worklog(ran)
    assert f"fixed: `{CASE}`" in told
    assert "What it printed: `remedies/1/1.txt`" in told
    assert met_by_users(ran.stable_url) == ran.service("web")["revision"]


@pytest.mark.slow
def test_a_remedy_that_changes_nothing_ends_without_progress(
    served: tuple[Project, Ran],
) -> None:
    project, before = served
    script(project, "echo 'looked, and found nothing'\n")
    word_loop(project, run_rule(limit=9), limits={"max_cycles": 9})
    ran = project.run("web")
    assert ended(ran) == (1, "no-progress", 2), str(ran)
    assert ran.result["changes"]["persisting"] == [CASE]
    assert remedy(ran, 0)["changed_source"] is False
    assert "./fix.sh changed nothing" in ran.line("TRIED")
    assert "2 cycles failed alike on the same source" in ran.line("TRIED")
    assert "NEXT: ./fix.sh" not in ran.out, "what has not helped is not asked for again"
    assert "NEXT: loopctl run web --env local" in ran.out
    still_served(ran, before)


SKIPS_ALL = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.skip(reason="it is in the way"))
"""

WEAKENED = {
    "tests/test_smoke.py": "echo 'def test_it_says_good(): pass' > tests/test_smoke.py",
    "tests/test_other.py": "rm tests/test_other.py",
    "conftest.py": f"cat > conftest.py <<'END'{SKIPS_ALL}END",
    "web/tests/conftest.py": "mkdir web/tests && touch web/tests/conftest.py",
    "pytest.ini": "echo '[pytest]' > pytest.ini",
    "sitecustomize.py": "touch web/sitecustomize.py",
    "loops/web.yaml": "sed -i s/P1/P3/ loops/web.yaml",
    "signatures/ours.yaml": "echo '# nothing' >> signatures/ours.yaml",
    "fix.sh": "echo '# I do more now' >> fix.sh",
}

OURS = """
- schema: 1
  id: ours.bad-word
  title: It says a bad word
  severity: high
  confidence: {base: 0.8, per_corroboration: 0.1, act_at: 0.9}
  match:
    any:
      - {on: log, regex: 'the word is (?P<word>never said)'}
  whys: [{question: 'Why?', answer: 'it said {word}', evidence: word}]
  remedy: {action: person, mode: person, detail: say another}
  tests: {positive: [bad.jsonl], negative: [good.jsonl]}
"""


@pytest.mark.parametrize("changed", but_slow(WEAKENED, ("tests/test_smoke.py",)))
def test_a_remedy_that_weakens_what_judges_it_is_refused(
    served: tuple[Project, Ran], changed: str
) -> None:
    project, before = served
    script(project, f"{REPAIRS}{WEAKENED[changed]}\n")
    project.write("tests/test_other.py", "def test_other():\n    assert True\n")
    project.write("signatures/ours.yaml", OURS)
    for name in ("bad", "good"):
        project.write(f"signatures/{name}.jsonl", "")
    word_loop(project, run_rule(), signatures=["../signatures/ours.yaml"])
    ran = project.run("web")
    assert ended(ran) == (1, "remedy-refused", 1), str(ran)
    refused = remedy(ran)
    assert refused["result"] == "refused"
    assert changed in refused["detail"]
    assert "it changed what it may not" in ran.line("TRIED")
    assert changed in ran.line("TRIED")
    assert "still there" in ran.line("TRIED"), "the next run would take it for the user's own"
    assert "NEXT: git status --short" in ran.out
    still_served(ran, before)


@pytest.mark.slow
def test_a_test_that_may_be_edited_is_and_one_that_passes_by_that_is_a_persons_to_see(
    project: Project,
) -> None:
    script(project, "sed -i s/good/bad/ tests/test_smoke.py\n")
    word_loop(project, run_rule(), may_edit=["../tests/*.py"])
    ran = project.run("web")
    assert ended(ran) == (3, "remedy-refused", 2), str(ran)
    assert remedy(ran, 0)["result"] == "done", "it was allowed"
    assert remedy(ran, 0)["changed_source"] is False, "no service is made of its tests"
    assert "failed before a remedy changed what judges it, and is gone now" in ran.out
    assert "promote" not in ran.stages()
    assert project.run("web").code == 0, "a person has looked, and runs again"


TWO = WANTS_GOOD + "def test_it_answers():\n    assert ask()\n"


@pytest.mark.parametrize("left", [pytest.param(1, marks=pytest.mark.slow), 0])
def test_a_remedy_that_leaves_fewer_tests_is_refused_also_where_it_may_edit_them(
    project: Project, left: int
) -> None:
    kept = "test_it_answers" if left else "helper"
    gone = "sed -i -e s/test_it_says_good/nothing/ "
    script(project, f"{gone} -e s/test_it_answers/{kept}/ tests/test_smoke.py\n{REPAIRS}")
    word_loop(project, run_rule(), tests=TWO, may_edit=["../tests/*.py"])
    ran = project.run("web")
    assert ended(ran) == (3, "remedy-refused", 2), str(ran)
    assert f"smoke collects {left} cases after the remedy, and collected 2" in ran.out
    assert "promote" not in ran.stages()
    assert ran.result["left"][0]["verified"] is False


@pytest.mark.parametrize(
    ("code", "result", "said"),
    [
        (75, "done", "hands over to a person (exit code 75, saying 'ask ana')"),
        (1, "failed", "./fix.sh ended with 1, saying 'ask ana'"),
    ],
)
def test_a_remedy_that_gives_up_leaves_it_to_a_person(
    served: tuple[Project, Ran], code: int, result: str, said: str
) -> None:
    project, before = served
    script(project, f"{REPAIRS}echo 'ask ana'\nexit {code}\n")
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == result
    assert remedy(ran)["changed_source"] is True, "what it did before it gave up is told"
    assert said in ran.line("TRIED")
    printed = f"NEXT: tail -n 50 .loopctl/runs/{ran.run.name}/remedies/1/1.txt"
    assert (printed in ran.out) == (result == "failed")
    still_served(ran, before)


@pytest.mark.slow
def test_a_remedy_that_cannot_be_started_says_why(project: Project) -> None:
    word_loop(project, run_rule())
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "./fix.sh cannot be started: No such file or directory" in ran.line("TRIED")


def test_the_bundle_holds_this_cycle_and_the_environment_no_secret(project: Project) -> None:
    secret = "hunter-two-is-a-secret-value"
    script(
        project,
        'mkdir -p web/seen\nenv | sort > web/seen/env\npwd > web/seen/cwd\ncp -r "$LOOPCTL_BUNDLE" '
        'web/seen/bundle\nstat -c %a "$LOOPCTL_BUNDLE" "$LOOPCTL_BUNDLE/failure.json" '
        f"> web/seen/modes\n{REPAIRS}exit 75\n",
    )
    prelude = "print('the token is', os.environ['TOKEN'], flush=True)\n"
    prints = "    print('it was given', os.environ['TOKEN'])\n"
    tests = WANTS_GOOD.replace("():\n", f"():\n{prints}")
    word_loop(
        project,
        run_rule(),
        tests=tests,
        prelude=prelude,
        suite_keys={"env": {"BASE_URL": "${services.web.url}", "TOKEN": "${THE_TOKEN}"}},
        service={"secrets": {"TOKEN": {"value": "${THE_TOKEN}"}}},
        environments={"local": {"platform": "local", "require_env": ["THE_TOKEN"]}},
    )
    given = {
        "THE_TOKEN": secret,
        "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json",
        "AWS_ACCESS_KEY_ID": "AKIA0",
        "AWS_SECRET_ACCESS_KEY": "shh",
        "GITHUB_TOKEN": "ghp",
        "RANDOM_VARIABLE": "x",
        "LOOPCTL_VERBOSE": "",
        "LC_ALL": "C",
    }
    ran = project.run("web", env=given)
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    seen = project.root / "web" / "seen"
    env = dict(line.split("=", 1) for line in (seen / "env").read_text().splitlines())
    assert_environment(env, ran)
    assert (seen / "cwd").read_text().strip() == str(project.root)
    assert (seen / "modes").read_text().split() == ["700", "600"]
    assert_bundle(seen / "bundle", ran)
    for file in (*ran.run.rglob("*"), *seen.rglob("*")):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def assert_environment(env: dict[str, str], ran: Ran) -> None:
    """What the contract names, what a shell cannot do without, and nothing of the rest."""
    contract = {name: value for name, value in env.items() if name.startswith("LOOPCTL_")}
    assert contract == {
        "LOOPCTL_BUNDLE": str(ran.run / "bundle" / "1"),
        "LOOPCTL_RUN_ID": ran.run.name,
        "LOOPCTL_CYCLE": "1",
        "LOOPCTL_ENV": "local",
    }
    absent = {"GOOGLE_APPLICATION_CREDENTIALS", "THE_TOKEN", "GITHUB_TOKEN", "RANDOM_VARIABLE"}
    assert not absent & env.keys()
    assert "AKIA0" not in str(env)
    assert "shh" not in env.values()
    assert {"PATH", "HOME", "LC_ALL"} <= env.keys()
    assert not Path(env["AWS_SHARED_CREDENTIALS_FILE"]).exists()
    assert not Path(env["CLOUDSDK_CONFIG"]).exists(), "the empty folder is taken away again"


def assert_bundle(bundle: Path, ran: Ran) -> None:
    """This cycle's part of result.json, the worklog, and the logs and outputs that it quotes."""
    failure = json.loads((bundle / "failure.json").read_text())
    cycle = ran.cycle
    assert failure["number"] == 1
    assert failure["run_id"] == ran.run.name
    for part in ("suites", "services", "findings", "criteria"):
        assert failure[part] == cycle[part], part
    assert failure["stages"] == cycle["stages"][: len(failure["stages"])] or [
        stage["name"] for stage in failure["stages"]
    ] == [stage["name"] for stage in cycle["stages"]]
    assert "# web on local" in (bundle / "worklog.md").read_text()
    assert "listening" in (bundle / "logs" / "1" / "web.jsonl").read_text()
    printed = bundle / "suites" / "1" / "smoke" / "stdout.txt"
    assert "test_it_says_good" in printed.read_text()
    for finding in failure["findings"]:
        for evidence in finding["evidence"]:
            place = evidence["source"].partition("#")[0]
            assert (bundle / place).exists(), place


def test_a_remedys_changes_never_reach_a_protected_environment(project: Project) -> None:
    script(project, REPAIRS)
    protected = {"local": {"platform": "local", "protected": True}}
    word_loop(project, run_rule(), environments=protected)
    ran = project.run("web", "--confirm", "local", "--create")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["changed_source"] is True
    assert "web/word.txt changed; that never reaches a protected environment" in ran.line("TRIED")
    assert ran.service("web")["revision"].startswith("web-00001-"), "one deployment, the first"
