"""The README's Python example, run as it is written."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def runtime() -> Iterator[Path]:
    # A unix socket's path must be short, and pytest's folders are not.
    folder = Path(tempfile.mkdtemp(prefix="lc-"))
    yield folder
    shutil.rmtree(folder)


def test_the_python_example_runs_as_it_is_written(
    tmp_path: Path,
    runtime: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Its suite's interpreter is not there, so that the run ends in preflight and starts nothing.
    for name in (".git", "loops", "api/tests"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "api" / "app.py").write_text("print()\n")
    (tmp_path / "loops" / "shop.yaml").write_text(_block("yaml"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPCTL_RUNTIME_DIR", str(runtime))
    exec(compile(_block("python"), "README.md", "exec"), {})
    verdict, code, worklog = capsys.readouterr().out.splitlines()[0].split(" ", 2)
    assert (verdict, code) == ("preflight", "4")
    assert "api/.venv/bin/python does not exist" in Path(worklog).read_text(encoding="utf-8")
