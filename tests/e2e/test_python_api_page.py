"""docs/python-api.md: its project is made as it says, its examples print what it shows."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopctl import api
from loopctl.errors import LoopctlError

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
_BLOCK = re.compile(r'^```(python|yaml|text)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # A unix socket's path must be short, and pytest's folders are not.
    runtime = tempfile.mkdtemp(prefix="lc-")
    monkeypatch.setenv("LOOPCTL_RUNTIME_DIR", runtime)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    with contextlib.suppress(LoopctlError):  # where an example failed, its service is still there
        api.down(api.load("hello"))
    shutil.rmtree(runtime)


def _matches(shown: str, printed: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed) is not None


def test_every_example_prints_what_the_page_shows_under_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    printed: str | None = None
    for language, title, body in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if title:
            file = project / title
            file.parent.mkdir(exist_ok=True)
            file.write_text(body, encoding="utf-8")
        elif language == "python":
            assert not printed, f"shown nowhere: {printed}"
            exec(compile(body, PAGE.name, "exec"), names)
            printed = capsys.readouterr().out
        else:
            assert printed is not None, f"printed by nothing: {body}"
            assert _matches(body, printed), f"printed:\n{printed}\nshown:\n{body}"
            printed = None
    assert printed is None, "the last example shows what it prints"
