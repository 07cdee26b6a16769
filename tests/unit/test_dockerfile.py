"""The Dockerfile's parser and its words: what it knows, and that it never fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopctl.builders.dockerfile import external_images, parse
from loopctl.builders.dockerfile_words import NotUnderstoodError, expand

TEXT = """\
# syntax=docker/dockerfile:1
# escape=\\

ARG TAG=1
FROM base:${TAG} AS one
RUN echo a \\
    # a comment
    b
from one as TWO
copy --from=one --chown=1:1 a \\
 b /x/
"""


def test_instructions_have_their_lines_flags_and_words() -> None:
    parsed = parse(TEXT)
    assert parsed.syntax == "docker/dockerfile:1"
    one, two = parsed.stages
    assert (one.name, one.base, two.name, two.base) == ("one", "base:${TAG}", "TWO", "one")
    (run,) = one.instructions
    assert (run.line, run.keyword) == (6, "RUN")
    (copy,) = two.instructions
    assert (copy.line, copy.words) == (10, ("a", "b", "/x/"))
    assert copy.flags == (("from", "one"), ("chown", "1:1"))
    assert parsed.target("two") is two
    assert parsed.target("0") is one
    assert parsed.target("three") is None


def test_a_heredoc_is_no_instruction_and_ends_where_it_says() -> None:
    parsed = parse(
        "FROM x\nRUN <<-EOF cat\n\tCOPY no /no\n\tEOF\nCOPY <<'A' <<B /x/\n1\nA\n2\nB\nRUN z"
    )
    run, copy, last = parsed.stages[0].instructions
    assert (run.heredocs, copy.heredocs, last.text) == (1, 2, "RUN z")


@pytest.mark.parametrize("line", ['RUN echo "<<EOF"', "RUN echo $((1<<EOF))", "RUN cat <<EOF"])
def test_what_only_looks_like_a_heredoc_swallows_nothing(line: str) -> None:
    assert [i.keyword for i in parse(f"FROM x\n{line}\nCOPY a b").stages[0].instructions] == [
        "RUN",
        "COPY",
    ]


@pytest.mark.parametrize(
    ("word", "becomes"),
    [
        ("$A/${A}b", "1/1b"),
        ("${N:-x}${N-y}${A:-z}", "xy1"),
        ("${E:-x}${E-y}", "x"),
        ("${A:+x}${N:+y}${E+z}${E:+w}", "xz"),
        ("${N:-${A}}", "1"),
        ("'$A'\"$A\\$A\"", "$A1$A"),
        ("\\$A\\x", "$Ax"),
        ("$", "$"),
        ("$1x", "x"),
    ],
)
def test_words_are_expanded_as_buildkit_does(word: str, becomes: str) -> None:
    assert expand(word, {"A": "1", "E": ""}) == becomes


@pytest.mark.parametrize("word", ["${A#x}", "${A/x/y}", "'", '"', "${", "${}", "${N:?no}", "${A"])
def test_what_is_not_understood_is_said(word: str) -> None:
    with pytest.raises(NotUnderstoodError):
        expand(word, {"A": "1"})


@pytest.mark.parametrize(
    ("text", "target", "images"),
    [
        (TEXT, None, ("base:9",)),
        ("FROM a\nFROM scratch\nCOPY --from=b x y\nCOPY --from=0 x y", None, ("b", "a")),
        ("FROM a AS x\nFROM b AS y", None, ("b",)),
        ("FROM a AS x\nFROM b AS y", "x", ("a",)),
        ("FROM a AS x\nFROM x\nRUN --mount=type=bind,from=c,target=/c ls", None, ("c", "a")),
        ("ARG TARGETARCH\nFROM a-${TARGETARCH}", None, ("a-arm64",)),
        ("FROM --platform=$BUILDPLATFORM a", None, ("a",)),
        ("FROM a AS a\nCOPY --from=a x y", None, ("a",)),
        ("FROM ${N:?x}", None, ()),
        ("", None, ()),
    ],
)
def test_the_images_from_outside_are_those_the_target_needs(
    text: str, target: str | None, images: tuple[str, ...]
) -> None:
    assert external_images(text, {"TAG": "9"}, target, "linux/arm64") == images


@given(st.text() | st.from_regex(r"(FROM|COPY|ARG|ENV|RUN|ONBUILD)[ \\\[\]\"'<$\n{}a]{0,20}"))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    external_images(parse(text))
    external_images(parse("FROM x\n" + text))
