"""The package as a user gets it: built, installed and started far from this repository."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NEEDED = {
    "loopctl/__main__.py",
    "loopctl/py.typed",
    "loopctl/evidence/plugin/loopctl_evidence.py",
    "loopctl/evidence/plugin/loopctl_select.py",
}

# Written apart, so that this file does not find itself.
INDEX_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "crates" + ".io", "registry." + "npmjs")
MACHINE_PATHS = ("/work" + "/main", "/work" + "/shared", "/root" + "/", ".py" + "env/versions")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environ() -> dict[str, str]:
    ours = ("LOOPCTL_", "PYTHON", "VIRTUAL_ENV", "PYTEST", "COV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # No isolation: the build backend is pinned and installed here, and no index is asked.
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", *offline, "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment that holds the wheel and, by path, its dependencies."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(
        *pip,
        *("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index"),
        *("--quiet", str(wheel)),
        cwd=folder,
    )
    # A .pth file adds paths at the end and reads no .pth files there: the wheel goes first, and
    # the editable install of this repository is not seen.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= NEEDED
    inside = {name for name in names if name.startswith("loopctl/")}
    source = ROOT / "src"
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=source)
    here = {path for path in tracked.splitlines() if (source / path).is_file()}
    assert inside == here
    metadata = {name for name in names - inside if ".dist-info/" in name}
    assert names == inside | metadata
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("triage/catalogue", ".yaml"), ("reports/templates", ".j2")],
)
def test_the_wheel_holds_the_data_the_code_reads(wheel: Path, folder: str, kind: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [n for n in names if n.startswith(f"loopctl/{folder}/") and n.endswith(kind)]


def test_the_metadata_names_python_and_every_dependency_asked_for(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (path,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = archive.read(path).decode()
    assert "Requires-Python: >=3.11" in metadata
    plain = {
        re.split(r"[>=<;\[ ]", line.removeprefix("Requires-Dist: "))[0].lower()
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    }
    asked = "typer rich httpx websockets pyyaml google-cloud-run google-cloud-logging docker"
    assert plain >= {*asked.split(), "pydantic", "jinja2"}


@pytest.mark.parametrize("how", [["loopctl"], ["python", "-m", "loopctl"]])
def test_an_installed_loopctl_tells_its_version(
    installed: Path, tmp_path: Path, how: list[str]
) -> None:
    said = run(installed / how[0], *how[1:], "--version", cwd=tmp_path, env=clean_environ())
    assert re.fullmatch(r"loopctl \d+\.\d+\.\d+\n", said)


def test_an_installed_loopctl_is_the_wheel_and_not_this_repository(
    installed: Path, tmp_path: Path
) -> None:
    code = "import loopctl; print(loopctl.__file__)"
    where = run(installed / "python", "-c", code, cwd=tmp_path, env=clean_environ())
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_an_installed_loopctl_prints_the_schema(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "loopctl", "schema", cwd=tmp_path, env=clean_environ())
    assert json.loads(said) == json.loads((ROOT / "loop.schema.json").read_bytes())


def test_an_installed_loopctl_validates_a_loop(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "test_web.py").write_text("def test_web(): pass\n")
    (tmp_path / "loops").mkdir()
    loop = tmp_path / "loops" / "small.yaml"
    loop.write_text(
        "version: 1\n"
        "name: small\n"
        "environments: {local: {platform: local}}\n"
        "services:\n"
        "  web:\n"
        "    source: ../service\n"
        "    run: {command: [python, -m, http.server]}\n"
        "suites:\n"
        "  - {id: smoke, priority: P0, kind: pytest, run: test_web.py, cwd: ../service}\n"
    )
    run(installed / "loopctl", "validate", str(loop), cwd=tmp_path, env=clean_environ())


def test_using_the_api_imports_no_cloud_and_no_docker() -> None:
    code = (
        "import sys, loopctl.api\n"
        "print(*(m for m in ('google', 'grpc', 'docker', 'requests') if m in sys.modules))"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT).split() == []


def committed() -> list[Path]:
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [ROOT / path for path in listed if path and (ROOT / path).is_file()]


@pytest.mark.parametrize("names", [INDEX_HOSTS, MACHINE_PATHS], ids=["index-host", "machine-path"])
def test_no_committed_file_names_a_package_index_or_this_machine(names: tuple[str, ...]) -> None:
    assert committed()
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in committed()
        for content in [path.read_bytes()]
        for name in names
        if name.encode() in content
    ]
    assert found == []


def test_every_constraint_is_pinned_and_names_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert "loopctl" not in {line.partition("==")[0] for line in pins}


@pytest.mark.parametrize("script", [".ci/run", "tools/find-python", "tools/make-venv"])
def test_the_scripts_of_the_repository_can_be_started(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
