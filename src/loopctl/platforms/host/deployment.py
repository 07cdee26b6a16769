"""What a client asks to be deployed, and making a revision of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loopctl.platforms.host.control import Fields, ProtocolError
from loopctl.platforms.host.log_file import LogFile, stamp
from loopctl.platforms.host.names import revision_name
from loopctl.platforms.host.program import Program
from loopctl.platforms.host.revision import LiveRevision
from loopctl.platforms.host.runnable import Label, Runnable, Surroundings
from loopctl.platforms.host.service import Service
from loopctl.ports.platform import PlatformError
from loopctl.process import utc_now
from loopctl.redact import Redactor


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as asked for; of what is to be run."""

    key: str
    digest: str
    runnable: Runnable
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
            runnable=_runnable(args),
            redactor=redactor,
            share="all" if share == "all" else "none",
        )


async def deploy(
    wanted: Deployment, service: Service, number: int, around: Surroundings
) -> LiveRevision:
    """Make the revision and start it. Raises `PlatformError`, and then nothing is left of it."""
    name = revision_name(service.name, number)
    label = Label(service.name, name, number, wanted.digest, wanted.key, stamp(utc_now()))
    launch = wanted.runnable.launch(label, around)
    await launch.prepare()
    try:
        log = _open_log(around.place.state / "logs" / service.name / f"{name}.jsonl", name)
        revision = LiveRevision(label, launch, log, wanted.redactor)
        try:
            await service.add(revision, takes_all=wanted.share == "all")
        except PlatformError:
            log.close()
            raise
    except PlatformError:
        await launch.remove()
        raise
    return revision


def _runnable(args: Fields) -> Runnable:
    match args.text("workload"):
        case "process":
            return Program.of(args)
        case "container":
            # The SDK costs time and memory that a host of processes need not spend.
            from loopctl.platforms.host.image import Image  # noqa: PLC0415

            return Image.of(args)
        case other:
            raise ProtocolError(f"the host runs no workload {other!r}")


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
