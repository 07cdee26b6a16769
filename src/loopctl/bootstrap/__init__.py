"""The composition root: the only room that names concrete adapters."""

from loopctl.bootstrap.announcers import announcers_of, heralds_of, told_checkup, told_of
from loopctl.bootstrap.composition import Composition, bundle_writer, crash_writer
from loopctl.bootstrap.lookups import (
    catalogue_of,
    checkup_of,
    gated_urls,
    missing_variables,
    verified_of,
)
from loopctl.bootstrap.surveys import by_hand_of, survey_of
from loopctl.bootstrap.world import (
    World,
    callers_of,
    history_of,
    redactor_of,
    sources_here,
    suite_of,
    world_of,
)

__all__ = [
    "Composition",
    "World",
    "announcers_of",
    "bundle_writer",
    "by_hand_of",
    "callers_of",
    "catalogue_of",
    "checkup_of",
    "crash_writer",
    "gated_urls",
    "heralds_of",
    "history_of",
    "missing_variables",
    "redactor_of",
    "sources_here",
    "suite_of",
    "survey_of",
    "told_checkup",
    "told_of",
    "verified_of",
    "world_of",
]
