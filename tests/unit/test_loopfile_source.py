"""What may be read at all, and what it is read as."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopfile_project import only, place, problems_of, project

from loopctl.errors import UsageError
from loopctl.loopfile.composer import compose_text
from loopctl.loopfile.marks import Source
from loopctl.loopfile.nodes import Table, plain
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.source import compose


def read(text: str, problems: Problems | None = None) -> Table:
    source = Source(Path("/p/loops/x.yaml"), tuple(text.split("\n")), "sha256:0")
    return compose_text(source, problems or Problems())


def values(text: str) -> object:
    return plain(read(text))


@pytest.mark.parametrize(
    "word", ["on", "yes", "No", "010", "12:30:45", "2026-01-02", "1_000", "0x1f", "1e3", ".inf"]
)
def test_what_yaml_1_1_would_type_is_text(word: str) -> None:
    assert values(f"a: {word}") == {"a": word}


def test_null_booleans_and_decimal_numbers_are_typed() -> None:
    text = "{a: null, b: true, c: FALSE, d: -12, e: 1.50, f: ~, g: , h: 0}"
    assert values(text) == {
        "a": None,
        "b": True,
        "c": False,
        "d": -12,
        "e": 1.5,
        "f": None,
        "g": None,
        "h": 0,
    }


def test_quoted_scalars_are_text_whatever_they_say() -> None:
    assert values("{a: '1', b: \"true\", c: 'null'}") == {"a": "1", "b": "true", "c": "null"}


@given(
    st.one_of(
        st.integers(-(10**17), 10**17),
        st.booleans(),
        st.none(),
        st.floats(-1e15, 1e15).filter(lambda f: "." in repr(f) and "e" not in repr(f)),
    )
)
def test_typed_scalars_are_what_safe_load_makes_of_them(value: object) -> None:
    text = f"a: {yaml.safe_dump(value).splitlines()[0]}"
    assert values(text) == yaml.safe_load(text)


def test_keys_are_text_even_where_yaml_would_type_them() -> None:
    assert values("{on: 1, 8080: 2, null: 3}") == {"on": 1, "8080": 2, "null": 3}


def test_merges_fill_in_what_is_not_given() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n"
    assert plain(read(text).table("c")) == {"x": 3, "y": 1, "z": 2}


def test_every_key_and_value_knows_its_place() -> None:
    entry = read("a:\n  b: [1, two]\n").table("a").entries["b"]
    assert (entry.mark.line, entry.mark.column) == (2, 3)
    second = read("a:\n  b: [1, two]\n").items("a", "b")[1]
    assert (second.mark.line, second.mark.column) == (2, 10)


def test_a_duplicate_key_is_named_with_its_first_line() -> None:
    problems = Problems()
    read("a: 1\nb: 2\na: 3\n", problems)
    found = only(problems.all())
    assert (place(found), found.hint) == ((3, 1), "it is already given in line 1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\nb: 3\n", "not valid YAML"),
        ("a:\n\tb: 1\n", "not valid YAML"),
        ("a: *nowhere\n", "no anchor"),
        ("a: &a [*a]\n", "stands in"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("- a\n", "a loop file is a map"),
        ("? [a]\n: 1\n", "plain text"),
        ('a: "\\UFFFFFFFF"\n', "not valid YAML"),
        ("%YAML 1." + "1" * 5000 + "\n---\na: 1\n", "not valid YAML"),
        ("# nothing\n", "no document"),
    ],
)
def test_what_is_no_tree_stands_alone_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    found = only(caught.value.problems)
    assert said in found.message
    assert place(found)[0] >= 1


def test_a_tab_is_told_to_be_spaces() -> None:
    with pytest.raises(UsageError, match="indent with spaces"):
        read("a:\n\tb: 1\n")


def test_tags_are_refused_not_obeyed() -> None:
    problems = Problems()
    read("a: !!python/object/apply:os.getcwd []\nb: !!int '3'\n", problems)
    assert [place(found) for found in problems.all()] == [(1, 4), (2, 4)]


BOMB = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{p: *{old}, q: *{old}, r: *{old}, s: *{old}}}\n"
    for old, new in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " + "{a: " * 100_000,
        "- " * 100_000,
        "? " * 50_000,
        BOMB,
        MERGE_BOMB,
        "[\n" * 50_000,
    ],
    ids=["brackets", "braces", "dashes", "keys", "laughs", "maps", "lines"],
)
def test_bombs_are_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(UsageError) as caught:
        read(text)
    assert time.process_time() - started < 3
    only(caught.value.problems)


def test_a_file_of_100_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = project(tmp_path)
    os.truncate(path, 100 * 1024 * 1024)
    started = time.process_time()
    assert "1 MiB" in only(problems_of(path)).message
    assert time.process_time() - started < 2


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert only(problems_of(tmp_path / "pipe.yaml")).message == "this is not a file"


@pytest.mark.parametrize(
    ("data", "said", "where"),
    [
        (b"", "empty", (1, 1)),
        (b" \n\n", "empty", (1, 1)),
        (b"a: 1\nb: \xff\n", "byte 0xff", (2, 4)),
        (b"\xef\xbb\xbfa: \xff\n", "byte 0xff", (1, 4)),
        (b"a: x\x00y\n", "U+0000", (1, 5)),
        (b"a: \x1b[31m\n", "U+001B", (1, 4)),
        ("a: 1".encode("utf-16"), "not UTF-8", (1, 1)),
    ],
)
def test_what_is_not_text_is_refused_at_its_place(
    tmp_path: Path, data: bytes, said: str, where: tuple[int, int]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    found = only(problems_of(path))
    assert said in found.message
    assert place(found) == where
    assert (found.excerpt or "").replace("\n", "").isprintable()


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert plain(compose(path, Problems())) == {"a": 1, "b": 2}


def test_escapes_that_no_text_can_hold_are_refused() -> None:
    problems = Problems()
    read('a: "x\\0y"\nb: "\\ud800"\n', problems)
    assert [place(found) for found in problems.all()] == [(1, 4), (2, 4)]


YAMLISH = st.text(st.sampled_from("ab1: -[]{}&*!|>'\"%#,?\n\t\\${}<~.@`"), max_size=80)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    st.one_of(
        st.binary(max_size=60),
        YAMLISH.map(str.encode),
        st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")),
    )
)
def test_arbitrary_bytes_are_a_usage_error_or_a_plan(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    assert all(str(found).replace("\n", "").isprintable() for found in problems_of(path))
