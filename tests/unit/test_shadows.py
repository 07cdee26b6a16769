"""Which file Python runs in the place of which: asked of Python itself where it can be."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

import pytest

from loopctl.evidence.shadows import as_package, in_front_of, is_package

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]


@pytest.mark.parametrize(
    "name", ["x/__init__.py", "x/__init__.pyc", f"x/__init__{SUFFIX}", "x.so", f"x{SUFFIX}"]
)
def test_what_python_takes_before_a_module_is_in_front_of_it(tmp_path: Path, name: str) -> None:
    assert in_front_of(f"/app/{name}")[0] == "/app/x.py"
    assert as_package("/app/x") == "/app/x.py"
    assert is_package([Path(name).name]) is name.startswith("x/")
    (tmp_path / "x.py").touch()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    found = importlib.machinery.PathFinder.find_spec("x", [str(tmp_path)])
    assert found is not None
    assert found.origin == str(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "x.py",
        "y",
        "x",
        "x/log.txt",
        "__pycache__/x.pyc",
        f"__pycache__/x.{sys.implementation.cache_tag}.pyc",
        "x.pyi",
        "x.so.1",
        "x.txt",
        ".so",
        ".x.swp",
    ],
)
def test_what_stands_in_front_of_nothing(name: str) -> None:
    assert "/app/x.py" not in in_front_of(f"/app/{name}")
    assert not is_package([Path(name).name])


def test_what_is_in_front_of_a_package_itself() -> None:
    assert in_front_of("/app/x/__init__.abi3.so") == ("/app/x.py", "/app/x/__init__.py")
    assert in_front_of("/app/x/__init__.py") == ("/app/x.py",)
    assert in_front_of("/app/x.pyc") == ("/app/x.py",)
    assert as_package("/app/x.d") is None
