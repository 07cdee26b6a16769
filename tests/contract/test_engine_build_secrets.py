"""Secrets reach the step that mounts them by a command line client, and nothing else."""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_build_rig import Built, Rig, commands_with
from engine_rig import BASE, real_engine

from loopctl.engine import cli_build
from loopctl.engine.build_request import BuildClientAbsentError, BuildFailedError
from loopctl.engine.cli_build import find_cli
from loopctl.process import Stop


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig(real_engine())
    yield made
    made.remove()


def test_a_secret_reaches_its_step_and_no_layer_history_log_or_command_line(rig: Rig) -> None:
    secret = f"hush-{uuid.uuid4()}"
    seen: list[str] = []
    built = Built(heard=lambda piece: seen.extend(commands_with(secret)))
    rig.build(
        "cli",
        f"FROM {BASE}\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token; sleep 0.3\n",
        secrets={"token": secret},
        built=built,
    )
    assert f" {len(secret)}\n".encode() in built.output
    assert seen == []
    assert secret.encode() not in built.output
    with rig.engine.api(Stop(60), at_most=60) as api:
        history = api.history(built.image)  # type: ignore[no-untyped-call]
        assert secret not in json.dumps(history)
        tail = b""
        for piece in api.get_image(built.image):
            assert secret.encode() not in tail + piece
            tail = piece[-len(secret) :]


def test_nothing_of_a_build_stays_in_the_folder_for_temporary_files(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rig.build("cli", f"FROM {BASE}\nRUN --mount=type=secret,id=a true\n", secrets={"a": "b"})
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_nobody_hands_over_is_explained(rig: Rig) -> None:
    with pytest.raises(BuildFailedError) as failed:
        rig.build("buildkit", f"FROM {BASE}\nRUN --mount=type=secret,id=a,required=true true\n")
    assert failed.value.hint is not None
    assert "mounts a secret" in failed.value.hint


def test_a_newer_client_without_its_build_component_is_passed_over(
    rig: Rig, tmp_path: Path
) -> None:
    _program(tmp_path, "echo Docker version 28.2.2, build e6534b4", "exit 1")
    found = find_cli(rig.engine, Stop(20), {**os.environ, "PATH": f"{tmp_path}:/usr/bin"})
    assert found.parent != tmp_path


def test_without_a_client_that_can_the_error_says_what_to_install(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Podman has all the options, and images of its own.
    _program(tmp_path, "echo podman version 4.3.1", "echo --secret")
    monkeypatch.setattr(cli_build, "_USUAL", ())
    with pytest.raises(BuildClientAbsentError) as absent:
        find_cli(rig.engine, Stop(20), {"PATH": str(tmp_path)})
    assert f"{tmp_path}/docker" in absent.value.what
    assert "docker-buildx-plugin" in str(absent.value.hint)


def _program(folder: Path, version: str, building: str) -> None:
    program = folder / "docker"
    program.write_text(
        f"#!/bin/sh\ncase $1 in --version) {version} ;; build) {building} ;; *) exit 1 ;; esac\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
