"""What the copy map must not claim; what it must is asked of real builds in `test_copy_zoo`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopctl.builders.copy_map import CopyMap, copy_map
from loopctl.builders.copy_step import Base
from loopctl.model.artifact import SourceFile

FILES = [
    SourceFile(path, path, mode)
    for path, mode in (("a", "100644"), ("b", "100755"), ("d/c", "100644"), ("l", "120000"))
]


def of(text: str, **options: object) -> CopyMap:
    base = {"base": Base(env={"HOME": "/h"}, workdir="/w")}
    return copy_map(text, FILES, **{"bases": base, "links": {"l": "a"}, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "COPY --parents d /x/",
        "COPY --exclude=c d /x/",
        "COPY --new a /x",
        "COPY ${A#x}a /x/",
        "COPY [a /x",
        "COPY a",
        "COPY --from=other /a /x",
        "COPY <<EOF /x\nhello\nEOF",
        "ADD https://example.org/a /x",
        "ADD git@example.org:a/b.git /x",
        "ENV D=${A#x}\nCOPY a $D/",
        "ARG D=${A/x/y}\nCOPY a /$D",
        "COPY nope /x",
    ],
)
def test_what_is_not_understood_is_listed_and_nothing_is_claimed(line: str) -> None:
    made = of(f"FROM base\n{line}\n")
    assert made.placed == {}
    assert made.uncovered


def test_what_an_unknown_base_would_tell_is_not_guessed() -> None:
    made = of("FROM unknown\nCOPY a .\nCOPY b $HOME/\nWORKDIR /z\nCOPY d .\n")
    assert set(made.placed) == {"/z/c"}
    assert len(made.uncovered) == 2


def test_the_base_tells_environment_and_folder() -> None:
    made = of("FROM base\nCOPY a .\nCOPY b $HOME/\n")
    assert set(made.placed) == {"/w/a", "/h/b"}


def test_where_a_folder_cannot_be_told_both_paths_are_kept() -> None:
    placed = of("FROM base\nCOPY a /x\n").placed["/x"]
    assert placed.inside == "/x/a"
    assert of("FROM scratch\nCOPY a /x\n").placed["/x"].inside is None


def test_steps_are_counted_as_buildkit_counts_and_followed_by_those_that_may_alter() -> None:
    made = of("FROM base\nENV A=b\nWORKDIR /w\nCOPY a /x/\nRUN one\nCOPY b /x/\nRUN two\n")
    first, second = made.placed["/x/a"], made.placed["/x/b"]
    assert str(first.step) == "step 3 (COPY a /x/)"
    assert [str(step) for step in first.later] == ["step 4 (RUN one)", "step 6 (RUN two)"]
    assert [str(step) for step in second.later] == ["step 6 (RUN two)"]


def test_steps_of_other_stages_are_told_apart() -> None:
    made = of("FROM base AS x\nCOPY a /s/\nRUN one\nFROM base\nCOPY --from=x /s/a /a\nRUN two\n")
    placed = made.placed["/a"]
    assert [step.elsewhere for step in placed.before] == ["step 3 of stage x (RUN one)"]
    assert [str(step) for step in placed.later] == ["step 3 (RUN two)"]


def test_another_frontend_is_said() -> None:
    assert (
        "frontend example/mine" in of("# syntax=example/mine:1\nFROM base\nCOPY a /x").uncovered[0]
    )


def test_no_stage_is_no_map() -> None:
    assert of("FROM base AS a\nCOPY a /x", target="b").uncovered == (
        "the Dockerfile has no stage b: nothing is understood",
    )


def test_links_in_a_circle_end() -> None:
    files = [*FILES, SourceFile("o", "o", "120000"), SourceFile("p", "p", "120000")]
    links = {"o": "p", "p": "o", "l": "a"}
    made = copy_map("FROM scratch\nCOPY o /x\nCOPY . /y/\nCOPY a /y/o/z\n", files, links=links)
    assert "/y/o" in made.placed
    assert len(made.uncovered) == 2


STAGE = "FROM base AS build\nCOPY a b /src/\nRUN cp /src/* /out/\nFROM base\n"


def test_a_pattern_in_another_stage_is_told_and_its_folder_is_known() -> None:
    made = of(f"{STAGE}COPY --from=build /out/* /app/\n")
    assert made.placed == {}
    assert made.folders == ("/app",)
    assert made.uncovered == ("what else step 2 copies by the pattern /out/* from stage build",)
    assert [step.foreign for step in made.steps] == [True]
    known = of(f"{STAGE}COPY --from=build /src/* /app/\n")
    assert set(known.placed) == {"/app/a", "/app/b"}
    assert known.uncovered == ("what else step 2 copies by the pattern /src/* from stage build",)


def test_a_folder_of_another_stage_may_bring_more_than_is_known() -> None:
    made = of(f"{STAGE}COPY --from=build /src /app/\n")
    assert set(made.placed) == {"/app/a", "/app/b"}
    (told,) = made.uncovered
    assert told.startswith("what else step 2 copies from stage build, made by that stage's steps")
    (nothing,) = of(f"{STAGE}COPY --from=build /out /app/\n").uncovered
    assert nothing.endswith("out is made by the steps of stage build")


def test_what_cannot_be_told_in_a_parent_stage_cannot_in_its_child() -> None:
    made = of("FROM base AS one\nARG D=${A#x}\nFROM one\nARG D\nCOPY a /$D/\n")
    assert made.placed == {}
    assert of("FROM base AS one\nARG D=${A#x}\nFROM one\nARG D=d\nCOPY a /$D/\n").placed


@given(st.text(alphabet="acdl/.*?[]\\$\"' ", max_size=20), st.text(alphabet="xa/. $", max_size=8))
def test_no_copy_makes_it_fail(source: str, to: str) -> None:
    of(f"FROM base\nCOPY {source} {to}\n")
