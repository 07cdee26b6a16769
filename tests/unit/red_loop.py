"""A loop whose one test fails, with rules for what is done about it; and a remedy that cheats."""

from __future__ import annotations

from pathlib import Path

from loop_rig import Loop, a_case, a_service

from loopctl.model.evidence import CaseStatus
from loopctl.model.plan import Remediation, RemediationMode, RemedyRule


def a_red_loop(folder: Path, *rules: RemedyRule, max_cycles: int = 3) -> Loop:
    """It is red whatever is deployed; `auto` does what the rules say."""
    loop = Loop(folder, [a_service(source=folder / "chat")], max_cycles=max_cycles)
    loop.suite.cases["p1"] = [a_case(status=CaseStatus.FAILED)]
    loop.remediation = Remediation(RemediationMode.AUTO, rules=rules)
    return loop


def weaken(loop: Loop) -> None:
    """The remedy makes the test pass by editing it, and the source with it."""
    loop.tree.files |= {"chat/main.py": "2", "tests/test_chat.py": "weaker"}
    loop.sources.edited = "-edited"
    loop.builder.digests["chat"] = "sha256:edited"
    loop.suite.cases["p1"] = [a_case()]


def weakens_and_is_interrupted(loop: Loop) -> None:
    """The same, with a signal before its end."""
    weaken(loop)
    loop.stop.stop("SIGINT")
    loop.stop.remaining(0)
