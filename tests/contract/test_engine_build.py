"""The promises that BuildKit, the old builder and the command line client keep alike."""

from __future__ import annotations

import gc
import io
import re
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_build_rig import BUILDERS, Built, Rig, commands_with, none_within
from engine_proxy import proxied
from engine_rig import BASE, real_engine
from tar_context import tar_of

from loopctl.engine.build import has_buildkit
from loopctl.engine.build_request import BaseImageAbsentError, BuildFailedError
from loopctl.engine.connection import Engine
from loopctl.engine.errors import EngineGoneError
from loopctl.errors import Stopped
from loopctl.process import Stop

pytestmark = [
    pytest.mark.parametrize("builder", BUILDERS),
    # docker-py leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig(real_engine())
    yield made
    made.remove()
    gc.collect()


def test_a_build_tells_its_steps_and_gives_an_image_with_the_context(
    rig: Rig, builder: str
) -> None:
    built = rig.build(
        builder, f"FROM {BASE}\nWORKDIR /app\nCOPY hello.txt .\nRUN sleep 0.5; cat hello.txt\n"
    )
    with rig.engine.api(Stop(10)) as api:
        made = api.inspect_image(built.image)  # type: ignore[no-untyped-call]
    assert made["Id"] == built.image
    assert made["Config"]["Labels"] == {"loopctl-test": "engine-build"}
    steps = {step.name.partition("] ")[2]: step for step in built.steps}
    assert steps["COPY hello.txt ."].seconds < 5
    assert 0.4 < steps["RUN sleep 0.5; cat hello.txt"].seconds < 10
    assert not built.cached
    assert re.search(rb"^(#\d+ [\d.]+ )?hello$", built.output, re.MULTILINE)


def test_a_command_that_fails_is_named_with_its_exit_code_and_all_that_it_printed(
    rig: Rig, builder: str
) -> None:
    command = "for i in $(seq 60); do echo line $i; done; printf last; exit 3"
    built = Built()
    with pytest.raises(BuildFailedError) as failed:
        rig.build(builder, f"FROM {BASE}\nRUN {command}\n", built=built)
    assert failed.value.step is not None
    assert failed.value.step.endswith(f"RUN {command}")
    assert failed.value.step_exit == 3
    assert failed.value.line is None
    mark = re.escape((failed.value.mark or "").encode())
    printed = re.findall(rb"^%b(?:[\d.]+ )?line (\d+)$" % mark, built.output, re.MULTILINE)
    # 20.10's client quotes the end of the step again below its progress, without a mark.
    assert [int(number) for number in printed][:60] == list(range(1, 61))
    assert b"last" in built.output
    assert not any(step.name == failed.value.step for step in built.steps)


def test_a_line_that_is_no_instruction_is_named_by_its_number(rig: Rig, builder: str) -> None:
    with pytest.raises(BuildFailedError) as failed:
        rig.build(builder, f"FROM {BASE}\n\nRUN true\nFRUN nothing\n")
    assert failed.value.line == 4
    assert failed.value.what == "dockerfile parse error line 4: unknown instruction: FRUN"
    assert failed.value.step_exit is None


def test_a_base_image_that_cannot_be_had_is_an_error_of_its_own(rig: Rig, builder: str) -> None:
    # Nothing listens on port 1, and nobody must ask the world for it.
    absent = "127.0.0.1:1/loopctl-no-such-image:1"
    with pytest.raises(BaseImageAbsentError) as failed:
        rig.build(builder, f"FROM {absent}\nRUN true\n")
    assert failed.value.image == absent
    assert "connection refused" in failed.value.what


def test_an_image_to_copy_from_that_cannot_be_had_is_named_too(rig: Rig, builder: str) -> None:
    absent = "127.0.0.1:1/loopctl-no-such-image:1"
    with pytest.raises(BaseImageAbsentError) as failed:
        rig.build(builder, f"FROM {BASE}\nCOPY --from={absent} /a /a\n")
    assert failed.value.image == absent


def test_a_file_that_is_not_in_the_context_is_no_absent_base(rig: Rig, builder: str) -> None:
    with pytest.raises(BuildFailedError, match="not found") as failed:
        rig.build(builder, f"FROM {BASE}\nCOPY nowhere /a\n")
    assert not isinstance(failed.value, BaseImageAbsentError)
    assert failed.value.step is not None
    assert failed.value.step.endswith("COPY nowhere /a")


def test_every_step_is_carried_out_again_and_none_is_called_cached(rig: Rig, builder: str) -> None:
    dockerfile = f"FROM {BASE}\nWORKDIR /a/{uuid.uuid4()}\nCOPY hello.txt .\nRUN cat hello.txt\n"
    first, second = rig.build(builder, dockerfile), rig.build(builder, dockerfile)
    assert first.image != second.image
    assert first.cached == second.cached == set()


def test_a_step_from_the_cache_is_told_although_the_cache_was_switched_off(
    rig: Rig, builder: str, tmp_path: Path
) -> None:
    copy, run, folder = "COPY hello.txt .", f"RUN echo {uuid.uuid4()} > run", "WORKDIR /b"
    dockerfile = f"FROM {BASE}\nWORKDIR /a\n{copy}\n{run}\n{folder}\n"
    with proxied(
        tmp_path, rig.engine, asked=lambda data: data.replace(b"nocache=1", b"nocache=0")
    ) as proxy:
        rig.build(builder, dockerfile, engine=proxy.engine())
        again = rig.build(builder, dockerfile, engine=proxy.engine())
    wanted = {copy, run, folder}
    # The old builder makes even an empty folder anew, and notes labels as a step.
    allowed = {"WORKDIR /a", "LABEL loopctl-test=engine-build"} if builder == "old" else set()
    assert wanted <= again.cached <= wanted | allowed
    assert not rig.build(builder, dockerfile).cached


@pytest.mark.parametrize("why", ["SIGTERM", pytest.param("deadline", marks=pytest.mark.slow)])
def test_a_stop_ends_a_silent_step_within_a_second_and_leaves_nothing_running(
    rig: Rig, builder: str, why: str
) -> None:
    mark = f"{uuid.uuid4().int % 10**9 + 10**9}"
    begun: list[float] = []
    stop = Stop(60 if why == "SIGTERM" else 3)

    def end() -> None:
        begun.append(time.monotonic())
        stop.stop(why)

    ends = threading.Timer(0.3, end)

    def heard(output: bytes) -> None:
        if b"begun\n" in output and why == "SIGTERM" and not ends.ident:
            ends.start()

    with pytest.raises(Stopped) as stopped:
        rig.build(
            builder,
            f"FROM {BASE}\nRUN echo begun; sleep {mark}\n",
            stop=stop,
            built=Built(heard=heard),
        )
    took = time.monotonic() - begun[0] if begun else 1.0 + (stop.reason is None)
    assert took < 1.1
    assert stopped.value.reason == why
    assert not none_within(10, lambda: commands_with(f"sleep {mark}"))
    assert not none_within(10, lambda: _containers_with(rig.engine, mark))


def test_an_engine_that_dies_meanwhile_is_gone_and_no_failed_build(
    rig: Rig, builder: str, tmp_path: Path
) -> None:
    mark = f"{uuid.uuid4().int % 10**9 + 10**9}"
    with proxied(tmp_path, rig.engine) as proxy:

        def heard(output: bytes) -> None:
            if b"begun\n" in output:
                proxy.die()

        with pytest.raises(EngineGoneError, match="in the middle of its answer") as gone:
            rig.build(
                builder,
                f"FROM {BASE}\nRUN echo begun; sleep {mark}\n",
                engine=proxy.engine(),
                built=Built(heard=heard),
            )
        assert gone.value.where == f"unix://{proxy.address}"
    assert not none_within(10, lambda: commands_with(f"sleep {mark}"))


def test_no_engine_at_all_is_gone(rig: Rig, builder: str, tmp_path: Path) -> None:
    nowhere = Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})
    with pytest.raises(EngineGoneError, match="no Docker engine answers"):
        rig.build(builder, f"FROM {BASE}\n", engine=nowhere)


@pytest.mark.parametrize("error", [OSError("a file has changed"), Stopped("SIGINT")])
def test_a_context_that_cannot_be_made_is_its_own_error_and_no_half_context_is_built(
    rig: Rig, builder: str, error: BaseException
) -> None:
    whole = tar_of({"Dockerfile": f"FROM {BASE}\nRUN true\n", "big": "x" * 3_000_000})

    def context() -> Iterator[bytes]:
        yield whole[:1_000_000]
        raise error

    built = Built()
    with pytest.raises(type(error)) as raised:
        rig.build(builder, "", context=context, built=built)
    assert raised.value is error
    assert not any("RUN" in step.name for step in built.steps)


def test_a_large_context_arrives_whole(rig: Rig, builder: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        dockerfile = f"FROM {BASE}\nCOPY big /big\nRUN wc -c < /big\n".encode()
        for name, data in (("Dockerfile", dockerfile), ("big", bytes(20_000_000))):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    data = packed.getvalue()
    pieces = [data[at : at + 70_001] for at in range(0, len(data), 70_001)]
    built = rig.build(builder, "", context=lambda: iter(pieces))
    assert b"20000000" in built.output


def test_an_engine_without_buildkit_is_given_to_the_old_builder(
    rig: Rig, builder: str, tmp_path: Path
) -> None:
    if builder != "buildkit":
        pytest.skip("it is about who builds when nothing else is asked for")
    with proxied(
        tmp_path, rig.engine, answered=lambda data: data.replace(b'"1.41"', b'"1.38"')
    ) as proxy:
        assert not has_buildkit(proxy.engine(), Stop(10))
        assert has_buildkit(rig.engine, Stop(10))
        built = rig.build(builder, f"FROM {BASE}\nRUN true\n", engine=proxy.engine())
    assert b"Step 2/3 : RUN true" in built.output


def _containers_with(engine: Engine, text: str) -> list[str]:
    with engine.api(Stop(10)) as api:
        return [str(each) for each in api.containers(all=True) if text in str(each["Command"])]
