"""Faults of the schema: all at once, each at its place, in words that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loopfile_project import MINIMAL, only, place, plan_of, problems_of, project

from loopctl.loopfile.problems import Problems
from loopctl.loopfile.schema import json_schema
from loopctl.loopfile.source import compose

ROOT = Path(__file__).parents[2]


def test_the_json_schema_at_the_root_is_in_step() -> None:
    written = json.loads((ROOT / "loop.schema.json").read_text())
    assert written == json_schema(), "write it again with `loopctl schema`"


def test_the_json_schema_is_of_draft_2020_12_and_describes_every_key() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, part in {**schema["$defs"], "LoopFile": schema}.items():
        for key, value in part["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_a_hundred_errors_are_a_hundred_problems(tmp_path: Path) -> None:
    many = "".join(f"  - {{id: s{n}, run: t, prioritty: P1}}\n" for n in range(100))
    text = MINIMAL.replace("  - id: smoke\n    run: tests\n", many)
    found = problems_of(project(tmp_path, text))
    assert len(found) == 100
    assert [place(problem) for problem in found] == [(n + 8, 21 + len(f"{n}")) for n in range(100)]
    assert {problem.hint for problem in found} == {'did you mean "priority"?'}


def test_faults_of_schema_names_and_paths_come_together(tmp_path: Path) -> None:
    text = MINIMAL.replace("../app", "../ap").replace("name: demo", "name: other\nbogus: 1")
    text += "    protects: chatt\n    timeout: {suite: 10}\n"
    messages = [problem.message for problem in problems_of(project(tmp_path, text))]
    assert len(messages) == 5, messages


@pytest.mark.parametrize(
    ("line", "said", "hint", "at"),
    [
        ("    collect_min: two\n", 'must be a whole number, not "two"', None, (10, 18)),
        ("    repeatable: yes\n", "must be true or false", "yes is text here", (10, 17)),
        ("    priority: P9\n", "must be one of P0, P1, P2, P3", None, (10, 15)),
        ("    on_fail: contnue\n", "must be one of stop, continue", '"continue"', (10, 14)),
        ("    timeout: {suite: 10}\n", "must be a duration with its unit", None, (10, 22)),
        ("    timeout: {suite: 0s}\n", "longer than nothing", None, (10, 22)),
        ("    tolerance: {failed: 101%}\n", "such as 5%, not", None, (10, 25)),
        ("    tolerance: [1]\n", "must be a map, not a list", None, (10, 16)),
        ("    needs: smoke\n", 'must be a list, not "smoke"', None, (10, 12)),
        ("    title: 5\n", "must be text, not the number 5", 'write "5"', (10, 12)),
        ("    env: {A: true}\n", "quote it", None, (10, 14)),
        ("    env: {A: }\n", "quote it", None, None),
        ("    env: {1A: x}\n", "must be the name of a variable", None, (10, 11)),
        ("    evidence: {require: obsrved}\n", "must be one of", '"observed"', (10, 25)),
        ("    quarantine: [{case: a, owner: b, until: soon}]\n", "a day such as", None, (10, 45)),
        ("    quarantine: [{case: a, until: 2030-01-01}]\n", '"owner" is missing', None, (10, 18)),
        ("    quarantine: [{case: a, owner: b, until: 2026-11-20}]\n", "ended on", None, (10, 45)),
        (
            "    quarantine: [{case: tests/test_a.py, owner: b, until: 2030-01-01}]\n",
            "a file would hide all",
            "one by one",
            (10, 25),
        ),
        ("    suite: 10m\n", "unknown key", 'below "timeout"', (10, 5)),
        ("    evidence: {target: [chap]}\n", "no service", '"chat"', (10, 25)),
        (
            "    evidence: {control: always}\n",
            "runs passing tests a second time",
            "repeatable: true",
            (10, 25),
        ),
        (
            "    kind: command\n",
            "does not say where the JUnit report goes",
            "{junit}",
            None,
        ),
        ("criteria: [{metric: http.p90, op: '<', value: 1}]\n", "no aggregate", None, (10, 21)),
        ("criteria: [{metric: cart.avg, op: '<', value: 1}]\n", "no aggregate", None, (10, 21)),
        ("criteria: [{metric: http.p95, op: '<', value: 500}]\n", "is a time", None, (10, 47)),
        ("criteria: [{metric: suite.duration, op: '<', value: 9}]\n", "unit", None, (10, 53)),
        ("criteria: [{metric: error_rate, op: '<', value: 5}]\n", "a share", None, (10, 49)),
        ("criteria: [{metric: error_rate, op: '<', value: 5ms}]\n", "a share", None, (10, 49)),
        ("    needs: [smokee]\n", "no suite", '"smoke"', (10, 13)),
        ("    needs: [smoke]\n", "need each other", None, (10, 13)),
        ("    connections: 5\n", "is for websocket", None, (10, 5)),
        ("    cwd: ../nowhere\n", "does not exist", None, (10, 10)),
        ("worklog: {redact: ['re:(']}\n", "does not compile", None, (10, 20)),
        ("worklog: {redact: ['re:(a+)+b']}\n", "never end", None, (10, 20)),
        ("worklog: {redact: ['re:a*']}\n", "empty text", None, (10, 20)),
        ("worklog: {redact: ['a b']}\n", "name of a variable", None, (10, 20)),
        ("signatures: [none.yaml]\n", "no file", None, (10, 14)),
        ("impact: {chatt: {value: 1, source: us}}\n", "no service", '"chat"', (10, 10)),
        ("remediate: {rules: [{when: {}, do: retry}]}\n", "what it waits for", None, (10, 28)),
        ("remediate: {rules: [{when: {stage: build}, do: run}]}\n", '"command"', None, (10, 21)),
        (
            "remediate: {rules: [{when: {stage: helth}, do: retry}]}\n",
            "must be one of",
            '"health"',
            (10, 36),
        ),
        (
            "remediate: {rules: [{when: {verdict: green}, do: retry}]}\n",
            "must be one of",
            None,
            (10, 38),
        ),
        (
            "remediate: {rules: [{when: {suite: smokee}, do: retry}]}\n",
            "no suite",
            '"smoke"',
            (10, 36),
        ),
        (
            "remediate: {rules: [{when: {service: chap}, do: retry}]}\n",
            "no service",
            '"chat"',
            (10, 38),
        ),
        (
            "remediate: {rules: [{when: {stage: build}, do: retry, timeout: 5m}]}\n",
            '"timeout"',
            None,
            (10, 55),
        ),
        ("remediate: {may_edit: [../../x]}\n", "out of the project", None, (10, 24)),
        ("remediate: {may_edit: ['app/**']}\n", "relative to", "../app/**", (10, 24)),
        ("environments: {}\n", "must not be empty", None, (10, 15)),
        ("environments: {E: {platform: local}}\n", "must be lowercase", None, (10, 16)),
        ("environments: {e: {platform: locl}}\n", "must be one of", '"local"', (10, 30)),
        (
            "environments: {e: {platform: cloud-run, region: r}}\n",
            '"project" is missing',
            None,
            (10, 19),
        ),
        (
            "environments: {e: {platform: cloud-run, project: p, region: [a, b]}}\n",
            "a list is refused",
            None,
            (10, 61),
        ),
        (
            "environments: {e: {platform: local, registry: r}}\n",
            "is for platform docker",
            None,
            (10, 37),
        ),
        ("default_environment: dev\n", "no environment", None, (10, 22)),
    ],
)
def test_a_fault_is_said_at_its_place(
    tmp_path: Path, line: str, said: str, hint: str | None, at: tuple[int, int] | None
) -> None:
    found = only(problems_of(project(tmp_path, MINIMAL + line)))
    assert said in found.message
    assert hint is None or hint in (found.hint or "")
    if at:
        assert place(found) == at
        assert found.excerpt is not None
        shown, caret = found.excerpt.split("\n")
        assert (shown, len(caret)) == (line.rstrip(), at[1])


def test_what_is_missing_is_said_at_the_map_that_lacks_it(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL.replace("version: 1\n", "").replace("id: smoke\n    ", ""))
    missing = [(p.message, place(p)) for p in problems_of(path)]
    assert missing == [('"version" is missing', (1, 1)), ('"id" is missing', (7, 5))]


def test_free_keys_are_passed_over_everywhere_a_map_has_names(tmp_path: Path) -> None:
    text = MINIMAL.replace("source:", "x-note: 1\n    source:").replace(
        "services:", "services:\n  x-t: 5"
    )
    text += "    x-why: [1, {a: b}]\nx-top: ${NOT_SET\n"
    assert plan_of(project(tmp_path, text)).services[0].name == "chat"


def test_control_characters_of_the_file_reach_no_message(tmp_path: Path) -> None:
    found = only(problems_of(project(tmp_path, MINIMAL + '"ke\\e[31my\\u202e": 1\n')))
    assert str(found).replace("\n", "").isprintable()
    assert "\\x1b" in found.message


def test_a_very_long_line_is_cut_around_its_place(tmp_path: Path) -> None:
    text = MINIMAL + f"    title: [{'a, ' * 5000}]\n    env: {{A: {'x' * 9000}, B: true}}\n"
    for found in problems_of(project(tmp_path, text)):
        assert found.excerpt is not None
        assert all(len(line) <= 121 for line in found.excerpt.split("\n"))


@pytest.mark.parametrize("name", ["Chat", "1chat", "chat-", "c_h", "c" * 50])
def test_service_names_are_those_that_every_platform_takes(tmp_path: Path, name: str) -> None:
    found = problems_of(project(tmp_path, MINIMAL.replace("chat:", f"{name}:")))
    assert place(only(found)) == (4, 3)


def test_the_tree_outlives_a_fault_in_every_part(tmp_path: Path) -> None:
    text = "version: 2\nname: []\nservices: 5\nsuites: {}\nenvironments: [local]\nworklog: x\n"
    path = project(tmp_path, text)
    assert compose(path, Problems()).entries
    assert [place(found)[0] for found in problems_of(path)] == [1, 2, 3, 4, 5, 6]
