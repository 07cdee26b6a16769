"""`make bench`: one Markdown table, each row beside its alternative, measured in the same run."""

from __future__ import annotations

from bench import command_line, front_door, golden_path, journal, plugin
from bench.table import HEADER


def main() -> None:
    """Print each row as soon as it is there."""
    print(HEADER, flush=True)
    for part in (command_line, journal, plugin, front_door, golden_path):
        for line in part.rows():
            print(line, flush=True)


if __name__ == "__main__":
    main()
