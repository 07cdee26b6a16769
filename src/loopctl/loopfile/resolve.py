"""From a loop file to a `Plan` for one environment, or to every problem that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from loopctl.errors import Problem, UsageError
from loopctl.loopfile.checks_github import check_github
from loopctl.loopfile.checks_names import check_names
from loopctl.loopfile.checks_remedies import check_remedies
from loopctl.loopfile.checks_service import check_services
from loopctl.loopfile.checks_suite import check_rest, check_suites
from loopctl.loopfile.chosen import Chosen
from loopctl.loopfile.env_file import read_env_file
from loopctl.loopfile.extends import Files, read_extended
from loopctl.loopfile.find import project_root
from loopctl.loopfile.github_told import is_told
from loopctl.loopfile.marks import near, quoted, shown_path
from loopctl.loopfile.nodes import Entry, Origin, Table, merged
from loopctl.loopfile.notices import check_notices, of_environment
from loopctl.loopfile.paths import absolute, is_file, written_path
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.variables import Filler
from loopctl.model.plan import Plan

_IMPLICIT = "local"


def load(
    path: Path,
    *,
    environment: str | None,
    variables: Mapping[str, str],
    today: date | None = None,
    text: str | None = None,
) -> Plan:
    """The plan of a loop file for one environment, the file's default one if None is named.

    `variables` are the process's environment; they win over the environment's `env_file`.
    `today` is when quarantines are judged, UTC now unless given. `text` is what would stand in a
    file that is not written yet. Raises `UsageError` with all
    problems at once; a syntax error stands alone. Variables of `require_env` that are not set
    are none of them: preflight names those.
    """
    # Imported late: the models take most of the time of a start, and a syntax error needs none.
    from loopctl.loopfile.assemble import assemble  # noqa: PLC0415
    from loopctl.loopfile.located import judge  # noqa: PLC0415

    path = absolute(path)
    problems = Problems()
    given = {} if text is None else {path: text.encode()}
    files = Files(project_root(path), variables, problems, given=given)
    written = read_extended(path, files)
    chosen = _choose(path, written, environment, variables, problems)
    model = judge(_without(chosen.document, chosen.unused), problems)
    # What the environment overrides must have the right form too: another one may use it.
    lenient = _lenient(written, problems)
    judge(lenient, problems)
    check_names(chosen, lenient.table("environments"), problems)
    check_services(chosen, problems)
    check_suites(chosen, problems, today or datetime.now(UTC).date())
    check_rest(chosen, problems)
    check_remedies(chosen, problems)
    check_github(lenient, problems)
    check_notices(chosen, written, problems)
    problems.refuse_if_any(path)
    assert model is not None  # without a model there are problems
    return assemble(chosen, model, files.digests, problems)


def _choose(
    path: Path,
    written: Table,
    wanted: str | None,
    variables: Mapping[str, str],
    problems: Problems,
) -> Chosen:
    name = _environment_name(path, written, wanted, Filler(variables, problems), problems)
    place = written.table("environments", name)
    known = {**_env_file(place, Filler(variables, problems), problems), **variables}
    services = written.get("services")
    over = place.get("services")
    if services is not None and over is not None:
        services = merged(services, over)
    overlaid = dict(written.entries)
    if services is not None:
        mark = written.entries["services"].mark
        overlaid["services"] = Entry("services", mark, services)
    filler = Filler(known, problems)
    told = is_told(written, name, known, filler)
    unused = frozenset[str]() if told else frozenset({"github"})
    if (notify := overlaid.get("notify")) is not None:
        here = of_environment(notify.value, name, known)
        overlaid["notify"] = replace(notify, value=here)
    document = _filled(Table(written.mark, overlaid), name, unused, filler)
    problems.mark_secret(document)
    return Chosen(path, project_root(path), document, name, known, unused)


def _filled(document: Table, name: str, unused: frozenset[str], filler: Filler) -> Table:
    """Everything filled in, without the other environments: their values need not resolve."""
    entries = dict(document.entries)
    environments = document.get("environments")
    if isinstance(environments, Table):
        mine = {key: entry for key, entry in environments.entries.items() if key == name}
        only = Table(environments.mark, mine)
        entries["environments"] = replace(document.entries["environments"], value=only)
    used = filler.table(_without(Table(document.mark, entries), unused), needed=True)
    as_written = {key: document.entries[key] for key in unused & document.entries.keys()}
    return Table(document.mark, {**used.entries, **as_written})


def _without(table: Table, keys: frozenset[str]) -> Table:
    kept = {key: entry for key, entry in table.entries.items() if key not in keys}
    return Table(table.mark, kept)


def _lenient(written: Table, problems: Problems) -> Table:
    """The file as it is written, with every environment, where no variable needs a value."""
    document = Filler({}, problems).table(written, needed=False)
    problems.mark_secret(document)
    return document


def _environment_name(
    path: Path, written: Table, wanted: str | None, filler: Filler, problems: Problems
) -> str:
    names = [entry.key for entry in written.table("environments").named()] or [_IMPLICIT]
    if wanted is not None and wanted not in names:
        hint = near(wanted, names) or f"there is {', '.join(map(quoted, names))}"
        message = f"there is no environment {quoted(wanted)} in {shown_path(path)}"
        raise UsageError("no such environment", [Problem(message, hint=hint)])
    if wanted is not None:
        return wanted
    default = written.scalar("default_environment")
    if default is None:
        return names[0]
    default = filler.scalar(default, needed=True)
    if default.text in names:
        return default.text
    hint = near(default.text, names) or f"there is {', '.join(map(quoted, names))}"
    problems.add(default.mark, f"there is no environment {quoted(default.text)}", hint)
    return names[0]


def _env_file(place: Table, filler: Filler, problems: Problems) -> Mapping[str, str]:
    node = place.scalar("env_file")
    if node is None:
        return {}
    node = filler.scalar(node, needed=True)
    if node.origin is Origin.UNRESOLVED or not isinstance(node.value, str):
        return {}
    path = written_path(node)
    if is_file(path):
        return read_env_file(path)
    hint = "it holds KEY=VALUE lines; take `env_file` away where there is none"
    problems.add(node.mark, f"there is no file {shown_path(path)}", hint)
    return {}
