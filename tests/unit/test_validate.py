"""`validate` tells loops from the files beside them that are only parts of loops."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, project

from loopctl.api.loading import validate
from loopctl.errors import UsageError

PART = "owner: '#chat'\n"
SIGNATURE = """\
schema: 1
id: shop.ledger
title: The ledger is out of balance
severity: high
match: {any: [{on: log, regex: 'out of balance'}]}
remedy: {action: person}
tests: {positive: [a.jsonl], negative: [b.jsonl]}
"""


def names(folder: Path) -> list[str]:
    return [plan.path.stem for plan in validate([], cwd=folder)]


def refused(folder: Path) -> str:
    with pytest.raises(UsageError) as raised:
        validate([], cwd=folder)
    return str(raised.value)


def test_a_file_that_a_loop_extends_need_not_be_a_loop(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "extends: middle.yaml\n")
    project(tmp_path, "extends: base.yaml\n", "middle")
    project(tmp_path, PART, "base")
    assert names(tmp_path) == ["demo"]


def test_a_file_that_a_loop_extends_is_still_a_loop_where_it_can_be(tmp_path: Path) -> None:
    project(tmp_path)
    project(tmp_path, "extends: demo.yaml\nname: other\n", "other")
    assert names(tmp_path) == ["demo", "other"]


def test_a_mistake_in_what_a_loop_extends_is_told_once_through_that_loop(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "extends: base.yaml\n")
    project(tmp_path, PART + "wrong: 1\n", "base")
    said = refused(tmp_path)
    assert said.count('unknown key "wrong"') == 1
    assert "1 problem" in said.splitlines()[-1]


def test_a_base_that_is_no_yaml_is_told_once(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "extends: base.yaml\n")
    project(tmp_path, "owner: [\n", "base")
    assert refused(tmp_path).count("this is not valid YAML") == 1


def test_a_file_of_signatures_beside_the_loops_is_no_loop(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "signatures: [known.yaml]\n")
    other = SIGNATURE.replace("shop.ledger", "shop.orders")
    project(tmp_path, f"{SIGNATURE}---\n{other}", "known")
    assert names(tmp_path) == ["demo"]


def test_a_mistake_in_a_file_of_signatures_is_told_and_not_that_it_is_no_loop(
    tmp_path: Path,
) -> None:
    project(tmp_path, MINIMAL + "signatures: [known.yaml]\n")
    project(tmp_path, SIGNATURE + "wrong: 1\n", "known")
    said = refused(tmp_path)
    assert "wrong: Extra inputs" in said
    assert "unknown key" not in said


def test_files_that_only_extend_each_other_are_not_passed_over(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "extends: other.yaml\n")
    project(tmp_path, "extends: demo.yaml\n", "other")
    assert "extends itself" in refused(tmp_path)


def test_a_file_that_nobody_extends_is_a_loop_and_is_checked(tmp_path: Path) -> None:
    project(tmp_path)
    project(tmp_path, PART, "base")
    assert "loops/base.yaml" in refused(tmp_path)


def test_a_part_that_is_named_is_checked_as_the_loop_it_is_said_to_be(tmp_path: Path) -> None:
    project(tmp_path, MINIMAL + "extends: base.yaml\n")
    project(tmp_path, PART, "base")
    with pytest.raises(UsageError):
        validate(["base"], cwd=tmp_path)
