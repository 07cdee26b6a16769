"""Small repositories, and the loop file that `init` writes for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from loopctl.authoring.init import Initial, initial
from loopctl.loopfile.resolve import load
from loopctl.model.plan import Plan

FASTAPI = """\
import os
from fastapi import FastAPI

app = FastAPI()
KEY = os.environ["SIGNING_KEY"]


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.get("/ready")
def ready():
    return {"status": "ok"}
"""
CONFTEST = """\
import os
import pytest


@pytest.fixture
def base():
    return os.environ.get("BASE_URL", "http://localhost:8000/api/v1")
"""
TESTS = """\
import pytest


@pytest.mark.smoke
def test_it_answers(base): ...


class TestOrders:
    def test_one(self, base): ...

    def test_two(self, base): ...
"""
SHOP: Mapping[str, str] = {
    "Dockerfile": "FROM python:3.12-slim\nARG X=1\nWORKDIR /app\nCOPY . .\nEXPOSE 8000\n"
    'CMD ["uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8000", "--workers", "4"]\n',
    "requirements.txt": "fastapi\nuvicorn[standard]\n",
    "shop/__init__.py": "",
    "shop/main.py": FASTAPI,
    "pytest.ini": "[pytest]\ntestpaths = tests\nmarkers =\n    smoke: quick\n",
    "tests/conftest.py": CONFTEST,
    "tests/test_orders.py": TESTS,
}


def repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def made(folder: Path, files: Mapping[str, str | bytes], name: str = "shop") -> Initial:
    """What `init` would write for them."""
    return initial(repository(folder / "shop", files), name=name)


def document(initially: Initial) -> dict[str, Any]:
    """The file as another YAML reader reads it."""
    read = yaml.safe_load(initially.text)
    assert isinstance(read, dict)
    return read


def plan(initially: Initial, environment: str | None = None) -> Plan:
    """Its plan for an environment."""
    variables = {"GCP_PROJECT": "a-project"}
    return load(initially.path, environment=environment, variables=variables, text=initially.text)
