"""What is generated is what would be generated now, and the defaults it tells of are so."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from loopctl import api
from loopctl.model.plan import Plan
from pages.generated import files
from pages.loop_reference import default_of

ROOT = Path(__file__).parents[2]

BARE: dict[str, Any] = {
    "version": 1,
    "name": "shop",
    "environments": {
        "there": {"platform": "cloud-run", "project": "p", "region": "r", "repository": "r/p/a"}
    },
    "services": {"api": {"source": "../api", "build": {}, "health": {}}},
    "suites": [{"id": "all", "run": "t", "timeout": {}, "tolerance": {}, "evidence": {}}],
    "criteria": [{"metric": "http.p95", "op": "<=", "value": "1s"}],
    "loop": {},
    # A mode that is written down is a ceiling for --remediate, too.
    "remediate": {
        "mode": "propose",
        "rules": [{"when": {"verdict": "red"}, "do": "run", "command": ["./fix"]}],
    },
    "worklog": {},
    "github": {"token": "", "environments": ["there"]},
}
PLACES: dict[str, tuple[str | int, ...]] = {
    "EnvironmentPart": ("environments", "there"),
    "ServicePart": ("services", "api"),
    "BuildPart": ("services", "api", "build"),
    "HealthPart": ("services", "api", "health"),
    "SuitePart": ("suites", 0),
    "TimeoutPart": ("suites", 0, "timeout"),
    "TolerancePart": ("suites", 0, "tolerance"),
    "EvidencePart": ("suites", 0, "evidence"),
    "CriterionPart": ("criteria", 0),
    "LimitsPart": ("loop",),
    "RemediatePart": ("remediate",),
    "RulePart": ("remediate", "rules", 0),
    "WorklogPart": ("worklog",),
    "GithubPart": ("github",),
}
ASKED_LATER = {"connections"}
"""Keys of a websocket suite, which it reads by itself."""


@pytest.mark.parametrize("name", files())
def test_what_is_generated_is_in_step_with_what_it_tells_of(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == files()[name], "run: make docs"


def _plan(folder: Path, loop: dict[str, Any]) -> Plan:
    for name in ("loops", "api"):
        (folder / name).mkdir(parents=True)
    (folder / "api" / "Dockerfile").touch()
    (folder / "t").touch()
    file = folder / "loops" / "shop.yaml"
    file.write_text(yaml.safe_dump(loop), encoding="utf-8")
    return replace(api.load(str(file), variables={}), files={})


def _value(text: str) -> object:
    return json.loads(text) if text in ("true", "false") or text.isdigit() else text


def test_a_loop_that_says_every_default_is_the_loop_that_says_none(tmp_path: Path) -> None:
    said = copy.deepcopy(BARE)
    told = 0
    for name, place in PLACES.items():
        part: Any = said
        for step in place:
            part = part[step]
        for key, value in api.schema()["$defs"][name]["properties"].items():  # type: ignore[index]
            default = default_of(value.get("description", ""))
            if default and default.startswith("`") and key not in {*part, *ASKED_LATER}:
                part[key] = _value(default.strip("`"))
                told += 1
    assert told > 30
    project = tmp_path / "project"
    bare = _plan(project, BARE)
    (project / "loops" / "shop.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    full = replace(api.load(str(bare.path), variables={}), files={})
    assert full == bare
