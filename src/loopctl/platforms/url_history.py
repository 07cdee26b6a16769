"""The history of runs at any place that fsspec reaches: `<url>/<loop>/<environment>/<run_id>.json`.

fsspec's filesystems block, each in its own way, and most cannot be told to stop. So all of it is
done by a child process (`url_history_child`), which ends when the `Stop` does: killed, if need be.
What fails in passing is tried three times in all, within the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loopctl.errors import Stopped
from loopctl.inert import one_line
from loopctl.journal.history_codec import KEY, KEY_BYTES, decoded, encoded, is_place, name_of
from loopctl.model.plan import UrlPlace
from loopctl.ports.history import History, HistoryError, RunRecord
from loopctl.process import Child, Stop

CHILD: Final = "loopctl.platforms.url_history_child"
_AT_ONCE: Final = ((signal.SIGKILL, 2.0),)


class UrlHistory(History):
    """Records of all who share the place. The newest 200 of each environment are kept."""

    def __init__(self, place: UrlPlace) -> None:
        self._place = place

    def recent(self, loop: str, environment: str, limit: int, stop: Stop) -> Sequence[RunRecord]:
        """See `History`."""
        if not is_place(loop, environment) or limit < 1:
            return []
        asked = {"verb": "recent", "folder": f"{loop}/{environment}", "limit": limit}
        return self._records(asked, stop)

    def named(
        self, loop: str, environment: str, run_ids: Sequence[str], stop: Stop
    ) -> Sequence[RunRecord]:
        """See `History`."""
        if not is_place(loop, environment):
            return []
        names = [f"{run_id}.json" for run_id in run_ids]
        asked = {"verb": "named", "folder": f"{loop}/{environment}", "names": names}
        return self._records(asked, stop)

    def put(self, record: RunRecord, stop: Stop) -> None:
        """See `History`."""
        name = name_of(record)
        where = f"{self._place}/{name}"
        keep = [f"{run_id}.json" for run_id in record.greens]
        asked = {"verb": "put", "name": name, "keep": keep}
        with self._answered(asked, where, stop, encoded(record, where)):
            pass

    def key(self, stop: Stop) -> bytes:
        """See `History`."""
        where = f"{self._place}/{KEY}"
        with self._answered({"verb": "key", "name": KEY}, where, stop) as (_, folder):
            found = (folder / KEY).read_bytes()
        if len(found) < KEY_BYTES:
            what = f"the key of the history has less than {KEY_BYTES} bytes"
            raise HistoryError(what, where=where, hint="remove it: another one is made")
        return found

    def _records(self, asked: Mapping[str, object], stop: Stop) -> Sequence[RunRecord]:
        where = f"{self._place}/{asked['folder']}"
        with self._answered(asked, where, stop) as (answer, folder):
            found = [
                decoded((folder / str(number)).read_bytes(), name)
                for number, name in enumerate(answer["names"])
            ]
        return [record for record in found if record is not None]

    @contextlib.contextmanager
    def _answered(
        self, asked: Mapping[str, object], where: str, stop: Stop, data: bytes = b""
    ) -> Iterator[tuple[Mapping[str, Any], Path]]:  # Any: JSON, of our own child
        """Have the child do it: its answer, and the folder with what it read."""
        with contextlib.ExitStack() as scratch:
            try:
                made = tempfile.TemporaryDirectory(prefix="lc-history-", ignore_cleanup_errors=True)
                folder = Path(scratch.enter_context(made))
                (folder / "asked.json").write_text(json.dumps({**asked, "url": self._place.url}))
                (folder / "data").write_bytes(data)
            except OSError as error:
                what = f"cannot ask the history: {error.strerror}"
                raise HistoryError(what, where=tempfile.gettempdir()) from error
            told = self._run(folder, where, stop)
            if (fault := told.get("error")) is not None:
                raise HistoryError(fault["what"], where=where, hint=fault["hint"])
            yield told, folder

    @staticmethod
    def _run(folder: Path, where: str, stop: Stop) -> Mapping[str, Any]:
        stop.remaining(0)
        err = bytearray()
        try:
            child = Child(
                [sys.executable, "-m", CHILD, str(folder)],
                cwd=folder,
                env=os.environ,
                on_stdout=err.extend,
                on_stderr=err.extend,
            )
        except OSError as error:
            what = f"what speaks to the history cannot be started: {error.strerror or error}"
            raise HistoryError(what, where=where) from error
        ended = child.wait(stop, _AT_ONCE)
        if ended.stopped is not None:
            raise Stopped(ended.stopped)
        try:
            answer = json.loads((folder / "answer.json").read_bytes())
        except (OSError, ValueError):
            said = one_line(err.decode(errors="replace").strip().rpartition("\n")[2], 300)
            what = f"what speaks to the history ended with {ended.code}: {said}"
            raise HistoryError(what, where=where) from None
        return dict(answer)
