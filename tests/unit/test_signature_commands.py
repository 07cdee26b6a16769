"""`loopctl signatures`: what is wrong is told with its place, what a capture shows is proven."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from loopctl import api
from loopctl.cli.entry import entry
from loopctl.errors import ExitCode, UsageError

DOCS = Path(__file__).parents[2] / "docs"
OURS = """\
schema: 1
id: ours.sour-milk
title: The milk is sour
severity: low
match:
  all: [{on: log, regex: 'sour (?P<what>milk)'}]
  none: [{on: log, regex: 'it was cheese'}]
remedy: {action: person}
tests: {positive: [sour.log], negative: [sweet.log]}
"""


def write(folder: Path, text: str = OURS, **captures: str) -> Path:
    captures = {"sour": "ERROR sour milk\n", "sweet": "INFO sweet milk\n"} | captures
    for name, said in captures.items():
        (folder / f"{name}.log").write_text(said, encoding="utf-8")
    file = folder / "ours.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(file: Path, **more: list[Path]) -> list[str]:
    with pytest.raises(UsageError) as caught:
        api.lint_signatures([file], **more)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_ours_are_as_they_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["signatures", "lint"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_a_capture_that_shows_the_cause_is_told_with_the_line_that_proves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["signatures", "test", str(write(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "sour.log#1: ERROR sour milk" in told
    assert "2 captures, 0 not as they should be" in told


@pytest.mark.parametrize(
    ("captures", "why"),
    [
        ({"sour": "ERROR sweet milk\n"}, r"match.all.0 hit nothing: on: log, regex"),
        ({"sour": "ERROR sour milk\nINFO it was cheese\n"}, "match.none.0 forbids it"),
        ({"sweet": "INFO sour milk\n"}, "it is seen"),
    ],
)
def test_what_fails_says_which_clause_did_not_hold(
    tmp_path: Path, captures: dict[str, str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, **captures)
    assert entry(["--json", "signatures", "test", str(file)]) == ExitCode.RED
    document = json.loads(capsys.readouterr().out)
    assert not document["ok"]
    (failed,) = [each for each in document["tried"] if not each["ok"]]
    assert why in failed["why"]


def test_ours_are_listed_with_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["signatures", "list", str(write(tmp_path)), "--json"]) == 0
    listed = {each["id"] for each in json.loads(capsys.readouterr().out)["signatures"]}
    assert {"ours.sour-milk", "deploy.exit-code"} <= listed


@pytest.mark.parametrize(
    ("before", "after", "telling"),
    [
        ("sour.log]", "none.log]", "ours.yaml:9:20: there is no capture none.log"),
        ("title: The milk", "title: The {whta}", "did you mean what?"),
        ("{action: person}", "{action: person, detail: '{amount}'}", "(?P<amount>…)"),
        ("{action: person}", "{action: run, mode: auto}", "never done without a person"),
        ("{action: person}", "{action: retry, mode: auto}", "add verify"),
        (
            "{on: log, regex: 'it was",
            "{on: log, field: colour, regex: 'it was",
            "no field 'colour'",
        ),
        ("{on: log, regex: 'it was cheese'}", "{on: log, field: severity, value: x}", "every line"),
        ("remedy:", "links: ['265']\nremedy:", "#123 or owner/repository#123"),
        ("remedy:", "explains: [deploy.exit-cod]\nremedy:", "did you mean deploy.exit-code?"),
        ("  none:", "  recovered: [{on: http, field: status, value: 200}]\n  none:", "over"),
        ("regex: 'it was cheese'}", "regex: 'it was cheese', same: [what]}", "`recovered` alone"),
        ("(?P<what>milk)'}", "(?P<what>milk)', confidence: 0.9}", "surer than its signature"),
        ("severity: low", "severity: low\ncolour: white", "signatures schema"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_hint(
    tmp_path: Path, before: str, after: str, telling: str
) -> None:
    (told,) = problems(write(tmp_path, OURS.replace(before, after, 1)))
    assert re.match(r"\S+ours\.yaml:\d+:\d+: ", told)
    assert telling in told


def test_an_id_that_is_written_twice_is_told(tmp_path: Path) -> None:
    (told,) = problems(write(tmp_path, f"{OURS}---\n{OURS}"))
    assert "written twice" in told


def test_no_signature_may_match_a_good_time(tmp_path: Path) -> None:
    file = write(tmp_path)
    good = tmp_path / "good.log"
    good.write_text("INFO sour milk poured away\n")
    assert "matches a green run" in problems(file, green=[good])[0]
    good.rename(tmp_path / "green-day.log")
    assert "matches a green run" in problems(file)[0]


def test_nor_the_kept_logs_of_a_green_run(tmp_path: Path) -> None:
    file = write(tmp_path)
    run = tmp_path / ".loopctl" / "runs" / "20250910-053600-shop-1a2b"
    logs = run / "logs" / "2"
    logs.mkdir(parents=True)
    (logs / "chat.jsonl").write_text('{"service": "chat", "text": "sour milk"}\n')
    summary: dict[str, str | int] = {"run_id": run.name, "loop": "shop", "environment": "local"}
    summary |= {"started_at": "2025-09-10T05:36:00Z", "cycles": 2}
    (run / "summary.json").write_text(json.dumps(summary | {"verdict": "red"}))
    assert api.lint_signatures([file], runs_dir=tmp_path / ".loopctl") == 1
    (run / "summary.json").write_text(json.dumps(summary | {"verdict": "green"}))
    with pytest.raises(UsageError, match="matches a green run"):
        api.lint_signatures([file], runs_dir=tmp_path / ".loopctl")


def test_the_example_in_the_documentation_is_as_it_says(tmp_path: Path) -> None:
    page = (DOCS / "signatures.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for _, name, text in blocks:
        file = "our-known-issues.yaml" if name == "signatures" else name
        (tmp_path / file).write_text(text, encoding="utf-8")
    file = tmp_path / "our-known-issues.yaml"
    assert api.lint_signatures([file]) == 1
    tried = api.try_signatures([file])
    assert [each.ok for each in tried] == [True, True]
    assert {name for _, name, _ in blocks} == {"signatures", "ledger.log", "good-day.log"}


def test_the_schema_knows_every_key_that_a_signature_has() -> None:
    schema = json.loads(json.dumps(api.signature_schema()))
    assert {"or", "unless", "recovered", "plain_title"} <= {
        name for part in schema["$defs"].values() for name in part["properties"]
    }
    assert "told_port" in schema["$defs"]["Clause"]["description"]
