"""Checks one service at a time: where it comes from, what it is given, how it is asked."""

from __future__ import annotations

from loopctl.loopfile.chosen import PROVIDED_BY, Chosen
from loopctl.loopfile.marks import quoted, shown_path
from loopctl.loopfile.nodes import Entry, Scalar, Table
from loopctl.loopfile.paths import folder_fault, has_files, is_inside, written_path
from loopctl.loopfile.problems import Problems
from loopctl.model.addresses import keeps_secrets
from loopctl.model.cloud_run_names import LONGEST_TAGGED, OWN_TAG_LENGTH

_DEPLOYED_ONLY = ("run", "build", "migrations", "provenance")


def check_services(chosen: Chosen, problems: Problems) -> None:
    """Every service of the chosen environment."""
    for entry in chosen.services.named():
        if not isinstance(entry.value, Table):
            continue
        _check_origin(entry, entry.value, problems)
        _check_image(entry.value, chosen, problems)
        source = entry.value.scalar("source")
        if source and entry.value.get("url") is None:
            _check_source(source, chosen, problems)
        if entry.value.get("url") is None:
            _check_name(entry, chosen, problems)
            _check_run(entry.value, chosen, problems)
            _check_build_secrets(entry.value, chosen, problems)
        _check_health(entry.value, chosen, problems)
        _check_auth(entry.value, problems)


def _check_origin(entry: Entry, service: Table, problems: Problems) -> None:
    given = [key for key in ("source", "url", "image") if service.get(key) is not None]
    if "url" in given and len(given) > 1:
        # A source beside an image is what the image's content must be.
        mark = service.entries[given[1]].mark
        names = " and ".join(f'"{key}"' for key in given)
        problems.add(mark, f"{names} exclude each other", 'set "url", or all others, to null')
    elif not given:
        hint = "source: its folder, image: one built elsewhere, or url: where it already runs"
        problems.add(entry.mark, f"{quoted(entry.key)} has no source, image or url", hint)
    elif given == ["url"] and not {"source", "image"} & service.entries.keys():
        for key in _DEPLOYED_ONLY:
            if service.get(key) is not None:
                message = f'"{key}" does nothing for a service with a "url": it is not deployed'
                problems.add(service.entries[key].mark, message)


def _check_name(entry: Entry, chosen: Chosen, problems: Problems) -> None:
    """A candidate's tag and the name are one label of an address: that is known beforehand."""
    tagged = (chosen.place.text("strategy") or "candidate") == "candidate"
    most = LONGEST_TAGGED - OWN_TAG_LENGTH
    if chosen.platform == "cloud-run" and tagged and len(entry.key) > most:
        message = (
            f"the name ({len(entry.key)} characters) and a candidate's tag ({OWN_TAG_LENGTH}) "
            f"together are too long: Cloud Run takes {LONGEST_TAGGED}"
        )
        problems.add(entry.mark, message, f"a name of at most {most}, or strategy: direct")


def _check_image(service: Table, chosen: Chosen, problems: Problems) -> None:
    if chosen.platform == "local" and service.get("image") is not None:
        hint = 'set "image" to null for this environment, and give a "source"'
        problems.add(
            service.entries["image"].mark,
            '"image" cannot be run on local: there a service is a process, started from its source',
            hint,
        )


def _check_source(source: Scalar, chosen: Chosen, problems: Problems) -> None:
    path = written_path(source)
    fault = folder_fault(path)
    if fault:
        problems.add(source.mark, f"the source {shown_path(path)} {fault}")
    elif not is_inside(path, chosen.root):
        inside = path.is_relative_to(chosen.root)
        how = "leads through a link to a place outside" if inside else "is outside"
        root = shown_path(chosen.root)
        problems.add(source.mark, f"the source {shown_path(path)} {how} of the project, {root}")
    elif not has_files(path):
        problems.add(source.mark, f"the source {shown_path(path)} has no files in it")


def _check_run(service: Table, chosen: Chosen, problems: Problems) -> None:
    if chosen.platform == "local" and service.get("run", "command") is None:
        run = service.entries.get("run")
        mark = run.mark if run else service.mark
        problems.add(mark, '"run.command" is missing: local needs it', "command: [python, app.py]")
    wanted = PROVIDED_BY.get(chosen.platform)
    for entry in service.table("run", "secrets").named():
        if wanted and isinstance(entry.value, Table) and entry.value.get(wanted) is None:
            message = f'the secret {quoted(entry.key)} has no "{wanted}"'
            problems.add(entry.mark, message, f'{chosen.platform} takes it from "{wanted}"')
    low, high = service.scalar("run", "min_instances"), service.scalar("run", "max_instances")
    if low and high and _number(low) > _number(high) > 0:
        problems.add(low.mark, '"min_instances" is more than "max_instances"')


def _check_build_secrets(service: Table, chosen: Chosen, problems: Problems) -> None:
    """An image is built on this machine, whatever it runs on: it takes no secret from a store."""
    if chosen.platform == "local" or service.get("image") is not None:
        return
    for entry in service.table("build", "secrets").named():
        if isinstance(entry.value, Table) and entry.value.get("value") is None:
            message = f'the build secret {quoted(entry.key)} has no "value"'
            problems.add(entry.mark, message, 'an image is built here, which takes it from "value"')


def _number(scalar: Scalar) -> int:
    return scalar.value if isinstance(scalar.value, int) else 0


def _check_health(service: Table, chosen: Chosen, problems: Problems) -> None:
    path = service.scalar("health", "path")
    if chosen.platform == "cloud-run" and path and path.text == "/healthz":
        hint = "Cloud Run answers it itself; use /health"
        problems.add(path.mark, "exactly /healthz never reaches the container", hint)


def _check_auth(service: Table, problems: Problems) -> None:
    """A token goes where nobody on the way reads it."""
    kind = service.scalar("auth") or service.scalar("auth", "kind")
    url = service.scalar("url")
    if kind and kind.text == "id_token" and url and not keeps_secrets(url.text):
        message = '"auth" would send a token where there is no TLS'
        problems.add(url.mark, message, "give it an https:// url; http:// is for this machine")
    for key in ("audience", "impersonate"):
        given = service.scalar("auth", key)
        if given and kind and kind.text == "none" and not given.is_null:
            problems.add(given.mark, f'"{key}" does nothing with "kind: none"')
