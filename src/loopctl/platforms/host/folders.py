"""A revision's private copy of its artifact."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Final

from loopctl.ports.platform import PlatformError

_KEPT_LOGS: Final = 100


def copy_artifact(source: Path, target: Path) -> None:
    """Copy a folder: links as links, modes and times kept. Raises `PlatformError`."""
    try:
        shutil.copytree(source, target, symlinks=True)
        for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
            # The service may write beside its code, whatever the builder did to protect its own.
            if not folder.is_symlink():
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IRWXU)
    except (OSError, shutil.Error) as error:
        remove_folder(target)
        raise PlatformError(
            f"the artifact cannot be copied: {error}",
            where=str(source),
            hint="see that the folder is there and that the disk is not full",
        ) from None


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it; what cannot be removed stays."""
    shutil.rmtree(folder, ignore_errors=True)


def forget_old_logs(logs: Path) -> None:
    """Remove the oldest logs of each service, but for the last hundred."""
    for folder in logs.iterdir():
        # Revision names begin with the service's name and a number that only grows.
        for log in sorted(folder.glob("*.jsonl"))[:-_KEPT_LOGS]:
            log.unlink(missing_ok=True)
