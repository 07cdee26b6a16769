"""The workflows that users copy: valid by the published schemas, pinned, and asking for little."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from action_rig import ACTION, action
from rig import REPOSITORY, Project
from services import tiny_loop

from loopctl.builders.dockerfile import parse

CI = REPOSITORY / "examples" / "ci"
GITHUB = CI / "github-actions.yml"
GITLAB = CI / "gitlab-ci.yml"
JOB = CI / "cloud-run-job"
REPORTS = {"journal.jsonl", "summary.json", "result.json", "worklog.md", "report.html", "junit.xml"}
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
ACTIONLINT = shutil.which("actionlint")


def _loaded(path: Path) -> Any:
    # YAML 1.1 takes `on` for true; nobody here asks for it.
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (ACTION, ("vendor.github-actions",)),
        (GITHUB, ("vendor.github-workflows",)),
        (GITLAB, ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")),
    ],
    ids=["action", "github", "gitlab"],
)
def test_it_is_what_the_published_schema_says(path: Path, schema: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _scripts() -> dict[str, str]:
    steps = {each["name"]: each["run"] for each in action()["runs"]["steps"] if "run" in each}
    scripts = {f"action: {name}": f"#!/bin/bash\n{script}" for name, script in steps.items()}
    for name, job in _loaded(GITLAB).items():
        if isinstance(job, dict) and "script" in job:
            scripts[f"gitlab: {name}"] = "#!/bin/sh\n" + "\n".join(job["script"])
    return {**scripts, "setup.sh": (JOB / "setup.sh").read_text()}


@pytest.mark.skipif(SHELLCHECK is None, reason="no shellcheck on this machine")
def test_shellcheck_finds_nothing_in_any_script(tmp_path: Path) -> None:
    files = []
    for number, script in enumerate(_scripts().values()):
        files.append(tmp_path / f"{number}.sh")
        files[-1].write_text(script)
    command = [str(SHELLCHECK), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(ACTIONLINT is None, reason="no actionlint on this machine")
def test_actionlint_finds_nothing_also_in_what_the_action_is_given(tmp_path: Path) -> None:
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    text, number = re.subn(r"your-org/loopctl@\S+", "./loopctl", GITHUB.read_text())
    assert number == 2
    (workflows / "golden-path.yml").write_text(text)
    (tmp_path / "loopctl").mkdir()
    shutil.copy(ACTION, tmp_path / "loopctl" / "action.yml")
    (tmp_path / ".git").mkdir()
    done = subprocess.run(
        [str(ACTIONLINT)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [ACTION, GITHUB], ids=lambda path: path.name)
def test_actions_of_others_are_pinned_by_their_commit_and_no_script_holds_an_expression(
    path: Path,
) -> None:
    text = path.read_text()
    used = re.findall(r"\buses: (\S+)(.*)", text)
    assert used
    for name, comment in used:
        if not name.startswith("your-org/"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)
    steps = action()["runs"]["steps"] if path == ACTION else _steps()
    assert not [step for step in steps if "${{" in step.get("run", "")]


def _steps() -> list[dict[str, Any]]:
    return [step for job in _loaded(GITHUB)["jobs"].values() for step in job["steps"]]


def test_a_workflow_may_do_little_for_a_short_time_and_one_thing_after_the_other() -> None:
    workflow = _loaded(GITHUB)
    assert workflow["permissions"] == {}
    assert set(workflow[True]) == {"pull_request", "push", "schedule", "workflow_dispatch"}
    runner, staging = workflow["jobs"].values()
    assert runner["permissions"] == {"contents": "read"}
    assert staging["permissions"] == {"contents": "read", "id-token": "write"}
    for job in (runner, staging):
        assert job["timeout-minutes"]
        assert job["concurrency"]["cancel-in-progress"] is (job is runner)
    kept = [s["with"]["persist-credentials"] for s in _steps() if "checkout" in s.get("uses", "")]
    assert kept == [False, False]


def test_the_workflow_gives_the_action_inputs_and_takes_outputs_that_it_has() -> None:
    given = [step["with"] for step in _steps() if step.get("uses", "").startswith("your-org/")]
    assert all(set(each) <= set(action()["inputs"]) for each in given)
    taken = re.findall(r"steps\.loop\.outputs\.([\w-]+)", GITHUB.read_text())
    assert set(taken) <= set(action()["outputs"])
    described = {**action()["inputs"], **action()["outputs"]}
    assert all(each["description"] for each in described.values())


def test_gitlab_keeps_the_reports_also_of_a_failed_job_and_nothing_that_was_printed() -> None:
    document = _loaded(GITLAB)
    kept = document[".loopctl"]["artifacts"]
    assert kept["when"] == "always"
    files = {Path(path).name for path in (*kept["paths"], kept["reports"]["junit"])}
    assert files == REPORTS
    assert document[".on-staging"]["resource_group"] == "staging"
    assert document[".on-staging"]["interruptible"] is False


@pytest.mark.slow
def test_every_loopctl_command_of_the_examples_is_one(project: Project) -> None:
    tiny_loop(project, name="golden-path")
    commands = [
        line.split("/opt/venv/bin/loopctl ")[1]
        for script in _scripts().values()
        for line in script.splitlines()
        if "/opt/venv/bin/loopctl " in line
    ]
    assert len(commands) >= 2
    (entry,) = re.findall(r"^CMD (.*)$", (JOB / "Dockerfile").read_text(), re.MULTILINE)
    commands.append("run " + " ".join(json.loads(entry)))
    for command in commands:
        words = command.replace("staging", "no-such-one").split()
        told = project.loopctl(*words, "--json")
        if "staging" in command:
            assert told.document()["message"] == "no such environment", str(told)
        else:
            assert told.code == 0, str(told)


# What each command of gcloud takes, by its reference.
_TAKES = {
    "services enable": set(),
    "iam service-accounts describe": {"format"},
    "iam service-accounts create": set(),
    "iam service-accounts add-iam-policy-binding": {"member", "role", "format"},
    "storage buckets describe": {"format"},
    "storage buckets create": {
        "location",
        "uniform-bucket-level-access",
        "public-access-prevention",
    },
    "storage buckets add-iam-policy-binding": {"member", "role", "format"},
    "run services describe": {"region", "format"},
    "run services add-iam-policy-binding": {"region", "member", "role", "format"},
    "run jobs add-iam-policy-binding": {"region", "member", "role", "format"},
    "projects add-iam-policy-binding": {"condition", "member", "role", "format"},
    "run jobs deploy": {
        *("image", "region", "service-account", "tasks", "max-retries", "task-timeout", "cpu"),
        *("memory", "args", "set-env-vars"),
    },
    "scheduler jobs describe": {"location", "format"},
    "scheduler jobs create http": {
        *("location", "schedule", "time-zone", "http-method", "max-retry-attempts", "uri"),
        *("oauth-service-account-email", "oauth-token-scope"),
    },
}
_TAKES["scheduler jobs update http"] = _TAKES["scheduler jobs create http"]
_GCLOUD = """#!/usr/bin/env python3
import json, os, sys
there = os.environ["THERE"] == "yes"
with open(os.environ["ASKED"], "a") as asked:
    print(json.dumps(sys.argv[1:]), file=asked)
if "describe" in sys.argv:
    print("chat-runtime@p.iam.gserviceaccount.com" if "value(" in sys.argv[-1] else "")
    sys.exit(0 if there or "services" in sys.argv else 1)
"""


@pytest.mark.parametrize("there", ["no", pytest.param("yes", marks=pytest.mark.slow)])
def test_the_set_up_grants_no_more_than_it_says_and_may_be_run_again(
    tmp_path: Path, there: str
) -> None:
    (tmp_path / "gcloud").write_text(_GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)
    asked = tmp_path / "asked"
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "THERE": there,
        "ASKED": str(asked),
        "PROJECT": "p",
        "REGION": "r",
        "SERVICES": "chat web",
        "IMAGE": "r-docker.pkg.dev/p/a/loopctl@sha256:0",
    }
    command = ["bash", str(JOB / "setup.sh")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr

    calls = [json.loads(line) for line in asked.read_text().splitlines()]
    granted: list[tuple[str, str]] = []
    for call in calls:
        (verb,) = [name for name in _TAKES if call[: len(name.split())] == name.split()]
        flags = [word[2:] for word in call if word.startswith("--")]
        assert set(flags) - {"project"} <= _TAKES[verb], call
        assert "project" in flags or verb == "projects add-iam-policy-binding", call
        if "--role" in call:
            member = call[call.index("--member") + 1].partition("@")[0]
            what = f"{verb.partition(' add-')[0]} {call[len(verb.split())].partition('@')[0]}"
            granted.append((f"{member} {what}", call[call.index("--role") + 1]))
    runner = "serviceAccount:loopctl-runner"
    reading = ("serviceAccount:loopctl-runner projects p", "roles/logging.viewer")
    granted.remove(reading)
    assert dict(granted) == {
        f"{runner} storage buckets gs://p-loopctl": "roles/storage.objectUser",
        f"{runner} run services chat": "roles/run.developer",
        f"{runner} run services web": "roles/run.developer",
        f"{runner} iam service-accounts chat-runtime": "roles/iam.serviceAccountUser",
        f"{runner} projects p": "roles/run.viewer",
        "serviceAccount:loopctl-clock run jobs loopctl-golden-path": "roles/run.invoker",
    }
    made = [call for call in calls if "create" in call]
    assert len(made) == (4 if there == "no" else 0)
    assert not any("keys" in call for call in calls)


def test_the_jobs_image_is_a_dockerfile_that_starts_what_is_there() -> None:
    stages = parse((JOB / "Dockerfile").read_text()).stages
    words = [i for stage in stages for i in stage.instructions]
    assert [stage.base for stage in stages] == ["python:3.11-slim"]
    assert {"USER", "ENTRYPOINT", "CMD"} <= {each.keyword for each in words}
    assert (JOB / "run.py").is_file()
