"""Where runs are kept."""

from __future__ import annotations

import contextlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from loopctl.errors import LoopctlError, NotFoundError, PreflightError, Problem
from loopctl.files import ensure_private_dir, storage, write_atomic
from loopctl.journal.history import JOURNAL_NAME, RUNS
from loopctl.process import utc_now

if TYPE_CHECKING:
    from loopctl.model.plan import Plan

RUNS_DIR = ".loopctl"
_KEY = "key"
_KEY_BYTES = 32
_STAMP = "%Y%m%d-%H%M%S"


def runs_dir_of(plan: Plan, given: Path | None) -> Path:
    """Where runs are kept: as `given`, else `.loopctl` in the project's root. Makes nothing."""
    return (given or plan.root / RUNS_DIR).absolute()


def project_runs_dir(cwd: Path, given: Path | None) -> Path:
    """Where runs are kept when a run is named and no loop: as `given`, else in the project around.

    That is the nearest folder from `cwd` upwards with `.loopctl`, `.git` or `loops` in it, else
    `cwd`. Makes nothing.
    """
    if given is not None:
        return given.absolute()
    for folder in (cwd.absolute(), *cwd.absolute().parents):
        if any((folder / mark).exists() for mark in (RUNS_DIR, ".git", "loops")):
            return folder / RUNS_DIR
    return cwd.absolute() / RUNS_DIR


def project_key(runs_dir: Path) -> bytes:
    """The key of this project's hashes of configuration, made when it is first asked for."""
    key = known_key(runs_dir)
    if key is None:
        key = secrets.token_bytes(_KEY_BYTES)
        ensure_private_dir(runs_dir)
        write_atomic(runs_dir / _KEY, key)
    return key


def known_key(runs_dir: Path) -> bytes | None:
    """The same, None where nobody has asked for it yet: nothing is made."""
    try:
        key = (runs_dir / _KEY).read_bytes()
    except OSError:
        return None
    return key if len(key) >= _KEY_BYTES else None


def journal_of(folder: Path) -> Path:
    """The journal of a run; raises `NotFoundError` where there is no such file, `StorageError`."""
    path = folder / JOURNAL_NAME
    with storage("read the journal", path):
        if not path.is_file():
            raise NotFoundError(f"{folder.name} has no journal", where=str(path))
    return path


def _stamp(runs: Path) -> str:
    """The second a run begins in: that after the newest run's, where the clock was set back.

    Runs are told newest first by it. A run that is more than a day ahead was made by a clock that
    was wrong then, and is not followed.
    """
    now = utc_now().replace(microsecond=0)
    with contextlib.suppress(OSError, ValueError):
        newest = max(path.name for path in runs.iterdir())[:15]
        ahead = datetime.strptime(newest, _STAMP).replace(tzinfo=UTC) - now
        if timedelta(0) < ahead < timedelta(days=1):
            now += ahead + timedelta(seconds=1)
    return now.strftime(_STAMP)


def new_run(runs_dir: Path, loop: str) -> tuple[str, Path]:
    """A fresh run's id and folder; raises `PreflightError` when it cannot be made."""
    run_id = f"{_stamp(runs_dir / RUNS)}-{loop}-{secrets.token_hex(2)}"
    folder = runs_dir / "runs" / run_id
    try:
        ensure_private_dir(runs_dir)
        ignore = runs_dir / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, "# made by loopctl: runs are nobody's source\n*\n")
        ensure_private_dir(folder)
    except LoopctlError as error:
        raise PreflightError(
            "the runs folder cannot be written; nothing was changed",
            [Problem(error.what, error.where, hint=error.hint or "choose another: --runs-dir")],
        ) from error
    return run_id, folder
