"""Every FAULT of the example ends with its exit code and a finding that quotes its proof."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rig import Project, Ran, met_by_users
from services import chat_loop
from slow import but_slow


@dataclass(frozen=True, slots=True)
class Expected:
    """How a FAULT ends: `proof` stands in a quoted line of a finding with `signature`."""

    fault: str
    code: int
    stage: str
    signature: str
    proof: str
    within_s: float
    suite: str = "tests/test_auth.py"
    stable_for: str = "200ms"


# `within_s` bounds the stage that saw it: until the fault can be known, and 2 s. `slow` shows in
# the second answer, because the first one is cold.
FAULTS = (
    Expected("exit-3", 5, "health", "deploy.exit-code", "Application startup failed", 2),
    Expected(
        "import-error", 5, "health", "deploy.import-time-error",
        "Import-time initialization is prohibited", 2,
    ),
    Expected("wrong-port", 5, "health", "deploy.wrong-port", "PORT=", 4),
    Expected("health-307", 5, "health", "health.redirect", "307", 3),
    Expected(
        "503-after-healthy", 5, "health", "health.unstable", "503", 5, stable_for="3s",
    ),
    Expected("slow", 5, "health", "health.latency", "4.", 10),
    Expected(
        "missing-config", 5, "health", "deploy.missing-configuration",
        "JWT_SECRET_STAGING required", 2,
    ),
    Expected(
        "ws-1000", 1, "verify", "ws.closed-1000", "main cleanup", 12,
        suite="tests/test_events.py",
    ),
    Expected(
        "ws-1011", 1, "verify", "ws.closed-1011", "Factory SSOT validation failed", 12,
        suite="tests/test_concurrency.py",
    ),
    Expected(
        "message-wrapper", 1, "verify", "ws.message-format", "system_message", 12,
        suite="tests/test_events.py",
    ),
)  # fmt: skip


# One that dies at start, and one that only tests find.
QUICK = ("exit-3",)


@pytest.mark.parametrize("expected", but_slow(FAULTS, QUICK, lambda e: e.fault))
def test_a_fault_is_explained_by_the_line_that_proves_it_and_users_keep_what_they_had(
    project: Project, expected: Expected
) -> None:
    chat_loop(project, {"e2e": expected.suite}, expected.stable_for)
    green = project.run("golden-path")
    assert green.code == 0, str(green)
    good = green.service("chat")["revision"]

    ran = project.run("golden-path", env={"FAULT": expected.fault})
    assert ran.code == expected.code, str(ran)
    assert ran.stage(expected.stage)["outcome"] == "failed"
    assert ran.stage(expected.stage)["duration_s"] < expected.within_s
    assert_explained(ran, expected)
    assert met_by_users(green.stable_url) == good
    assert f"chat: {good} 100 %" in ran.first_line
    assert "not changed by this run" in ran.first_line
    assert "no green run" not in ran.line("CHANGED SINCE GREEN")


def assert_explained(ran: Ran, expected: Expected) -> None:
    findings = ran.findings()
    assert expected.signature in findings, f"{list(findings)}\n{ran}"
    finding = findings[expected.signature]
    assert finding["service"] == "chat"
    quotes = [quote["quote"] for quote in finding["evidence"]]
    assert any(expected.proof in quote for quote in quotes), quotes
    assert [
        quote for quote in finding["evidence"] if stands_where_it_says(quote, ran.run)
    ] == finding["evidence"]
    # The first screen names the cause, and quotes one of the lines.
    assert expected.signature in ran.line("LIKELY CAUSE")
    assert any(quote[:100].strip() in ran.line("QUOTE") for quote in quotes)
    for why in finding["whys"]:
        assert (why["status"] == "hypothesis") == (why["evidence"] is None)


def stands_where_it_says(evidence: dict[str, Any], folder: Path) -> bool:
    """Whether the quoted text really is at that place of that file of the run."""
    place, _, which = evidence["source"].partition("#")
    quote = evidence["quote"].removesuffix("…")
    if place.startswith("logs/"):
        entry = json.loads((folder / place).read_text().splitlines()[int(which) - 1])
        if evidence["kind"] == "log":
            return quote in entry["text"]
        return f"{entry['path']}" in quote
    if place.startswith("suites/"):
        lines = (folder / place / "events.jsonl").read_text().splitlines()
        return any(which in event and first_words(quote) in event for event in lines)
    # What a probe or a stage saw is nowhere but in the journal.
    return any(quote in text for text in journal_strings(folder))


def first_words(quote: str) -> str:
    """As much of a quoted message as survives JSON's escapes unchanged."""
    return quote.partition("'")[0].partition('"')[0].partition("\n")[0][:60]


def journal_strings(folder: Path) -> list[str]:
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [text for line in lines for text in strings(json.loads(line)["data"])]


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return []
