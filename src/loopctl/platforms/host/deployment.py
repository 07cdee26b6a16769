"""What a client asks to be deployed, and making a revision of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loopctl.platforms.host.child import Launch
from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.folders import copy_artifact, remove_folder
from loopctl.platforms.host.guardian import Guardian
from loopctl.platforms.host.log_file import LogFile, stamp
from loopctl.platforms.host.names import revision_name
from loopctl.platforms.host.revision import Label, LiveRevision
from loopctl.platforms.host.service import Service
from loopctl.ports.platform import PlatformError
from loopctl.process import utc_now
from loopctl.redact import Redactor


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as asked for. `environment` holds secret values: it never leaves memory."""

    key: str
    digest: str
    artifact: Path
    command: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    redactor: Redactor = field(repr=False)
    share: Literal["none", "all"]

    @staticmethod
    def of(args: Fields) -> Deployment:
        """Read one. Raises `ProtocolError`."""
        share = args.text("share")
        if share not in ("none", "all"):
            raise ProtocolError("field 'share' is neither none nor all")
        try:
            redactor = Redactor(args.texts("hidden"), args.text_list("patterns"))
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        return Deployment(
            key=args.text("key"),
            digest=args.text("digest"),
            artifact=Path(args.text("artifact")),
            command=tuple(args.text_list("command")),
            environment=args.texts("environment"),
            redactor=redactor,
            share="all" if share == "all" else "none",
        )


async def deploy(
    wanted: Deployment, service: Service, number: int, state: Path, guardian: Guardian
) -> LiveRevision:
    """Make the revision and start it. Raises `PlatformError`, and then nothing is left of it."""
    name = revision_name(service.name, number)
    label = Label(service.name, name, number, wanted.digest, wanted.key, stamp(utc_now()))
    folder = state / "revisions" / name
    await asyncio.to_thread(copy_artifact, wanted.artifact, folder)
    launch = Launch(service.name, name, wanted.command, folder, wanted.environment)
    try:
        log = _open_log(state / "logs" / service.name / f"{name}.jsonl", name)
        revision = LiveRevision(label, launch, log, wanted.redactor, guardian)
        try:
            await service.add(revision, takes_all=wanted.share == "all")
        except PlatformError:
            log.close()
            raise
    except PlatformError:
        await asyncio.to_thread(remove_folder, folder)
        raise
    return revision


def _open_log(path: Path, revision: str) -> LogFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LogFile(path, revision)
    except OSError as error:
        raise PlatformError(
            f"the service's log cannot be written: {error.strerror}",
            where=str(path),
            hint="make room or mend the folder's permissions",
        ) from None
