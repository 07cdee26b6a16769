"""The captures that the catalogue is tried against, by name."""

from __future__ import annotations

from pathlib import Path

from loopctl.model.baseline import Baseline
from loopctl.triage import catalogue
from loopctl.triage.captures import START, entries, read_capture
from loopctl.triage.symptoms import Symptoms

__all__ = ["FOLDER", "START", "entries", "symptoms_of"]

FOLDER = Path(next(iter(catalogue.__path__))) / "fixtures"


def symptoms_of(name: str, baseline: Baseline | None = None) -> Symptoms:
    """The capture of that name."""
    return read_capture(FOLDER / name, baseline)
