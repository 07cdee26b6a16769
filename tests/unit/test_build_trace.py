"""BuildKit's progress, decoded and folded; no engine needed."""

from __future__ import annotations

import base64

import pytest

from loopctl.engine.build_failure import failure
from loopctl.engine.build_progress import BuildProgress
from loopctl.engine.build_request import BaseImageAbsentError, BuildStepEnded
from loopctl.engine.build_trace import Printed, Trace, Vertex, decoded
from loopctl.engine.cli_progress import CliProgress
from loopctl.engine.dockerfile_mounts import needs_cli
from loopctl.engine.errors import EngineError


def _field(number: int, data: bytes) -> bytes:
    """One length-delimited field, as the protobuf encoding has it."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def _instant(seconds: int, half: bool) -> bytes:
    # 500,000,000 ns as a varint.
    return bytes([1 << 3, seconds]) + (bytes([2 << 3, 0x80, 0xCA, 0xB5, 0xEE, 0x01]) * half)


def _vertex(
    name: str,
    digest: str,
    inputs: tuple[str, ...] = (),
    *,
    cached: bool = False,
    completed: float | None = 2.0,
    error: str = "",
) -> Vertex:
    return Vertex(digest, inputs, name, cached, 1.0, completed, error)


class Heard:
    def __init__(self) -> None:
        self.steps: list[BuildStepEnded] = []
        self.output = b""

    def on_output(self, piece: bytes) -> None:
        self.output += piece


def _progress() -> tuple[BuildProgress, Heard]:
    heard = Heard()
    return BuildProgress(heard.steps.append, heard.on_output), heard


def test_a_message_of_the_wire_is_read_and_unknown_fields_are_passed_over() -> None:
    vertex = (
        _field(1, b"sha256:a")
        + _field(2, b"sha256:b")
        + _field(3, b"[1/2] RUN \xe9")
        + bytes([4 << 3, 1])
        + _field(5, _instant(7, half=True))
        + _field(6, _instant(9, half=False))
        + _field(7, b"exit code: 3")
        + _field(8, b"a group of later versions")
    )
    log = (
        _field(1, b"sha256:a")
        + _field(2, _instant(8, half=True))
        + bytes([3 << 3, 2])
        + _field(4, b"out\xff\n")
    )
    # A name of 128 bytes or more would need a longer length; these stay below it.
    message = b"\x0a" + bytes([len(vertex)]) + vertex + _field(2, b"") + _field(3, log)
    assert decoded(base64.b64encode(message).decode()) == Trace(
        (
            Vertex(
                digest="sha256:a",
                inputs=("sha256:b",),
                name="[1/2] RUN \\xe9",
                cached=True,
                started=7.5,
                completed=9.0,
                error="exit code: 3",
            ),
        ),
        (Printed("sha256:a", 8.5, 2, b"out\xff\n"),),
    )


@pytest.mark.parametrize("aux", [None, {"ID": "x"}, "no base64!", "//8=", "CgU="])
def test_what_is_no_trace_is_an_error_and_not_passed_over(aux: object) -> None:
    with pytest.raises(EngineError, match="not understood"):
        decoded(aux)


def test_output_is_cut_into_lines_with_the_number_of_their_step() -> None:
    progress, heard = _progress()
    progress.feed(Trace((_vertex("[1/2] RUN a", "a", completed=None),), ()))
    progress.feed(Trace((_vertex("[1/2] RUN b", "b", completed=None),), ()))
    progress.feed(Trace((), (Printed("a", 1.5, 1, b"one\ntw"), Printed("b", 1.5, 1, b"x\n"))))
    progress.feed(Trace((_vertex("[1/2] RUN a", "a"),), (Printed("a", 1.75, 1, b"o\nrest"),)))
    assert heard.output == (
        b"#1 [1/2] RUN a\n#2 [1/2] RUN b\n"
        b"#1 0.500 one\n#2 0.500 x\n#1 0.750 two\n#1 rest\n#1 DONE 1.0s\n"
    )


def test_output_without_a_newline_is_not_kept_for_ever() -> None:
    progress, heard = _progress()
    progress.feed(Trace((_vertex("[1/2] RUN a", "a", completed=None),), ()))
    for _ in range(100):
        progress.feed(Trace((), (Printed("a", 1.5, 1, b"x" * 10_000),)))
    assert heard.output.count(b"x") > 900_000


def test_a_step_is_told_once_and_again_only_where_it_turns_out_to_be_cached() -> None:
    progress, heard = _progress()
    for cached in (False, False, True, True):
        progress.feed(Trace((_vertex("[2/2] COPY a a", "a", cached=cached),), ()))
    assert [step.cached for step in heard.steps] == [False, True]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("[2/3] RUN make", True),
        ("[build 2/3] COPY --from=a /a /a", True),
        ("[linux/arm64 build 2/3] ADD a a", True),
        ("[2/3] ONBUILD RUN make", True),
        ("[1/3] FROM docker.io/library/python", False),
        ("FROM docker.io/library/python", False),
        ("[internal] load build context", False),
        ("copy /context /", False),
        ("docker-image://docker.io/docker/dockerfile:1", False),
    ],
)
def test_cached_counts_for_what_was_to_be_made_again(name: str, counts: bool) -> None:
    progress, heard = _progress()
    progress.feed(Trace((_vertex(name, "a", cached=True),), ()))
    assert [step.cached for step in heard.steps] == [counts]


@pytest.mark.parametrize(("between", "counts"), [("WORKDIR /a", False), ("RUN make", True)])
def test_a_cached_folder_counts_only_where_something_was_made_below_it(
    between: str, counts: bool
) -> None:
    progress, heard = _progress()
    progress.feed(
        Trace(
            (
                _vertex("[1/3] FROM base", "a", cached=True),
                _vertex(f"[2/3] {between}", "b", ("a",)),
                _vertex("[3/3] WORKDIR /b", "c", ("b",), cached=True),
            ),
            (),
        )
    )
    assert heard.steps[-1].cached is counts


def test_steps_that_ended_because_another_had_failed_are_not_blamed() -> None:
    progress, _ = _progress()
    progress.feed(Trace((_vertex("[a 1/1] RUN a", "a", error="context canceled"),), ()))
    progress.feed(Trace((_vertex("[b 1/1] RUN b", "b", error="runc: exit code: 7"),), ()))
    failed = progress.failure("failed to solve: runc: exit code: 7")
    assert (failed.step, failed.step_exit, failed.mark) == ("[b 1/1] RUN b", 7, "#2 ")


def test_a_client_that_puts_the_end_of_a_step_behind_its_last_output_is_understood() -> None:
    heard = Heard()
    progress = CliProgress(heard.steps.append, heard.on_output)
    progress.heard_stderr(b"#7 [2/3] RUN a\n#7 sha256:ab\n#7 0.180 part#7 DO")
    progress.heard_stderr(b"NE 0.2s\n#8 [3/3] RUN b\n#8 0.1 say #7 DONE 0.2s\n")
    assert heard.steps == [BuildStepEnded("[2/3] RUN a", 0.2, cached=False)]


def test_a_client_that_tells_of_cached_steps_in_any_order_is_understood() -> None:
    heard = Heard()
    progress = CliProgress(heard.steps.append, heard.on_output)
    progress.heard_stderr(b"#9 [5/5] WORKDIR /b\n#9 CACHED\n\n#7 [3/5] COPY a a\n#7 CACHED\n\n")
    progress.heard_stderr(b"#6 [2/5] WORKDIR /a\n#6 CACHED\n")
    progress.finish()
    assert {step.name for step in heard.steps if step.cached} == {
        "[5/5] WORKDIR /b",
        "[3/5] COPY a a",
    }


def test_the_failure_of_a_later_client_is_read_too() -> None:
    heard = Heard()
    progress = CliProgress(heard.steps.append, heard.on_output)
    text = 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
    progress.heard_stderr(f"#5 [2/2] RUN exit 3\n#5 ERROR: {text}\n------\n".encode())
    progress.heard_stderr(f"ERROR: failed to build: failed to solve: {text}\n".encode())
    progress.finish()
    failed = progress.failure()
    assert (failed.what, failed.step_exit, failed.step) == (text, 3, "[2/2] RUN exit 3")


def test_a_base_whose_name_is_malformed_is_not_called_absent() -> None:
    text = "invalid reference format: repository name must be lowercase"
    assert not isinstance(failure(text, step="[1/2] FROM Loop::x"), BaseImageAbsentError)


def test_what_an_engine_says_cannot_act_in_a_message() -> None:
    failed = failure("bad\x1b[31m\nnews", step="[1/1] RUN \x1b]0;x\x07")
    assert "\x1b" not in f"{failed.what}{failed.step}"
    assert "\n" not in failed.what


@pytest.mark.parametrize(
    ("dockerfile", "secrets", "ssh"),
    [
        ("FROM a\nRUN --mount=type=secret,id=pip pip install .\n", ("pip",), False),
        ("FROM a\nRUN --network=none \\\n  --mount=id=a,type=secret \\\n # x\n b\n", ("a",), False),
        ("# escape=`\nFROM a\nRUN `\n --mount=type=secret,target=/x/npmrc x\n", ("npmrc",), False),
        ("FROM a\nrun --mount=type=ssh git clone x\n", (), True),
        ("FROM a\nRUN --mount=type=cache,target=/c x --mount=type=secret,id=a\n", (), False),
        ("FROM a\n# RUN --mount=type=secret,id=a x\nRUN x\n", (), False),
        ("FROM a\nRUN --mount=type=secret,id=a --mount=type=secret,id=b x\n", ("a", "b"), False),
    ],
)
def test_mounted_secrets_and_keys_are_found(
    dockerfile: str, secrets: tuple[str, ...], ssh: bool
) -> None:
    found = needs_cli(dockerfile)
    assert (found.secrets, found.ssh) == (secrets, ssh)
    assert bool(found) is (bool(secrets) or ssh)
