"""The action of this repository, its shell steps run as GitHub's runner runs them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ci_logs import values_of
from rig import REPOSITORY

ACTION = REPOSITORY / "action.yml"
_EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")


def action() -> dict[str, Any]:
    return dict(yaml.safe_load(ACTION.read_text()))


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step that has ended, and what its files hold."""

    code: int
    out: str
    err: str
    outputs: Mapping[str, str]
    summary: str


@dataclass
class Job:
    """A job on a runner whose workspace is `workspace`; `temp` is the runner's own."""

    workspace: Path
    temp: Path
    variables: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def value(self, text: str) -> str:
        """A text with its expressions put in: names of inputs and of outputs of steps."""
        return _EXPRESSION.sub(lambda found: self._named(found[1]), str(text))

    def _named(self, name: str) -> str:
        match name.split("."):
            case ["inputs", key]:
                default = action()["inputs"][key].get("default", "")
                return self.inputs.get(key, str(default))
            case ["steps", step, "outputs", key]:
                return self.outputs.get(step, {}).get(key, "")
            case _:
                raise AssertionError(f"what would the runner make of {name}?")

    def start(self, name: str) -> tuple[subprocess.Popen[str], Path]:
        """Begin the shell step of that name; its process and the folder of its files."""
        (step,) = (each for each in action()["runs"]["steps"] if each["name"] == name)
        assert step["shell"] == "bash"
        files = self.temp / re.sub(r"\W", "_", name)
        files.mkdir(parents=True, exist_ok=True)
        script = files / "script.sh"
        script.write_text(step["run"])
        for file in ("output", "summary"):
            (files / file).write_text("")
        env = {
            **self.variables,
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_ACTION_PATH": str(REPOSITORY),
            "GITHUB_OUTPUT": str(files / "output"),
            "GITHUB_STEP_SUMMARY": str(files / "summary"),
            "RUNNER_TEMP": str(self.temp),
            **{key: self.value(value) for key, value in step.get("env", {}).items()},
        }
        where = self.workspace / self.value(step.get("working-directory", "."))
        process = subprocess.Popen(
            # As the runner's `shell: bash` has it.
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=where,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return process, files

    def step(self, name: str, timeout: float = 90) -> Stepped:
        process, files = self.start(name)
        out, err = process.communicate(timeout=timeout)
        outputs = values_of((files / "output").read_text())
        (step,) = (each for each in action()["runs"]["steps"] if each["name"] == name)
        self.outputs[step.get("id", name)] = outputs
        summary = (files / "summary").read_text()
        return Stepped(process.returncode, out, err, outputs, summary)

    def uploads(self, step: str) -> list[str]:
        """What the step of that id would upload."""
        (found,) = (each for each in action()["runs"]["steps"] if each.get("id") == step)
        return self.value(found["with"]["path"]).splitlines()
