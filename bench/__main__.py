"""`make bench`: one Markdown table, each row beside its alternative, measured in the same run."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from bench import (
    cloud_calls,
    cloud_golden_path,
    cloud_logs,
    cloud_ready,
    cloud_triage,
    command_line,
    diagnosis_corpus,
    docker_build,
    docker_golden_path,
    docker_promotion,
    evidence_matrix,
    front_door,
    golden_path,
    health,
    histories,
    journal,
    memory,
    plugin,
    report_page,
    run_lists,
    shards,
    triage_lines,
)
from bench.page import page
from bench.table import HEADER, Row

_PARTS: tuple[ModuleType, ...] = (
    golden_path,
    health,
    command_line,
    journal,
    front_door,
    plugin,
    memory,
    docker_build,
    docker_golden_path,
    docker_promotion,
    evidence_matrix,
    shards,
    cloud_logs,
    cloud_ready,
    cloud_calls,
    cloud_golden_path,
    triage_lines,
    cloud_triage,
    diagnosis_corpus,
    histories,
    report_page,
    run_lists,
)


def main() -> None:
    """Print each row as soon as it is there; `--write FILE` makes a page of them."""
    options = argparse.ArgumentParser(prog="python -m bench")
    options.add_argument(
        "--write",
        type=Path,
        help="write the page there; --only keeps its other rows",
    )
    options.add_argument("--only", help="letters of the rows to measure, as in `--only be`")
    given = options.parse_args()
    print(HEADER, flush=True)
    rows: list[Row] = []
    for part in _PARTS:
        if not given.only or set(given.only) & set(part.PART):
            for row in part.rows():
                print(row, flush=True)
                rows.append(row)
    if given.write:
        before = given.write.read_text("utf-8") if given.only and given.write.exists() else ""
        given.write.write_text(page(rows, _PARTS, before), encoding="utf-8")


if __name__ == "__main__":
    main()
