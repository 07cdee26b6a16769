"""The judge of what GitHub is asked: it is the published one, and it does refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from github_rig import repository
from github_server import github

from github_api.cut import cut
from loopctl.ports.announcer import AnnounceError
from loopctl.process import Stop

TOOLS = Path(__file__).parents[2] / "tools"
WRONG = [
    ("GET", "issue", {}, "GitHub has no such operation"),
    ("GET", "issues", {"stat": "all"}, "no query parameter stat"),
    ("GET", "issues", {"state": "any"}, "'any' is not one of"),
    ("POST", "issues", {"body": "b"}, "'title' is a required property"),
    ("POST", "issues", {"title": "t", "body": "b", "label": []}, "no key label in the body"),
    ("POST", "statuses/abc", {"state": "green"}, "'green' is not one of"),
]


@pytest.mark.parametrize(("method", "path", "what", "said"), WRONG)
def test_a_request_that_github_does_not_know_fails_the_test_that_makes_it(
    method: str, path: str, what: dict[str, str], said: str
) -> None:
    with github() as hub:
        there = repository(hub)
        with suppress(AnnounceError):
            if method == "GET":
                there.get(path, Stop(20), **what)
            else:
                there.set(path, what, Stop(20))
        seen, hub.faults_seen = hub.faults_seen, []
    assert said in "\n".join(seen)


def test_only_the_package_that_was_expected_is_kept(tmp_path: Path) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho another > another.tgz\n")
    npm.chmod(0o755)
    kept = tmp_path / "kept"
    environ = {"PATH": f"{npm.parent}:{os.defpath}", "LOOPCTL_GITHUB_API_DIR": str(kept)}
    ran = subprocess.run(
        [sys.executable, "-B", "-m", "github_api"],
        env={**environ, "PYTHONPATH": str(TOOLS), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "is not the package that was expected" in ran.stderr
    assert list(kept.iterdir()) == []


def test_what_is_cut_out_keeps_what_it_refers_to_and_null_where_that_is_allowed() -> None:
    text = {"type": "string", "nullable": True, "description": "prose"}
    whole = {
        "info": {"version": "1"},
        "paths": {"/a": {"get": {"answer": {"$ref": "#/components/schemas/b"}}, "put": {}}},
        "components": {"schemas": {"b": {"properties": {"description": text}}, "c": {}}},
    }
    kept = cut(whole, [("get", "/a")])
    either = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert kept["paths"] == {"/a": {"get": whole["paths"]["/a"]["get"]}}  # type: ignore[index]
    assert kept["components"] == {"schemas": {"b": {"properties": {"description": either}}}}
