"""What inert promises about text that others wrote."""

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopctl.inert import (
    code_block,
    code_span,
    decode,
    for_ci,
    for_markdown,
    for_terminal,
    for_xml,
    one_line,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m \x7f", r"\x9b31m \x7f"),
        ("a\u202eb\u2066c\u200bd\u2028e", r"a\u202eb\u2066c\u200bd\u2028e"),
        ("\ud800 \U000e0041", r"\ud800 \U000e0041"),
        ("a\tb\r\nc", r"a    b\r\nc"),
        ("grün 漢字 😀 ✅", "grün 漢字 😀 ✅"),
    ],
)
def test_a_terminal_is_shown_and_not_driven(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


@given(ANY_TEXT)
def test_nothing_active_is_left(text: str) -> None:
    assert not ACTIVE.search(for_terminal(text))
    assert not ACTIVE.search(for_terminal(text, keep_newlines=True).replace("\n", ""))
    assert not ACTIVE.search(one_line(text))
    assert not ACTIVE.search(for_ci(text))
    assert not ACTIVE.search(code_block(text).replace("\n", ""))
    assert not ACTIVE.search(for_markdown(text).replace("\u200b", ""))
    for_terminal(text).encode()


def test_newlines_are_kept_only_when_asked() -> None:
    assert for_terminal("a\nb", keep_newlines=True) == "a\nb"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("漢字漢字", 5, "漢字…"),
        ("e\u0301" * 3, 3, "e\u0301" * 3),
        ("abc", 0, ""),
    ],
)
def test_a_line_is_cut_to_columns(text: str, width: int, shown: str) -> None:
    assert for_terminal(text, width) == shown


def test_one_line_says_how_much_it_cut() -> None:
    assert one_line("  a\n\n b\t c ") == "a b c"
    assert one_line("abcdef", limit=4) == "abcd… (+2 characters)"
    assert one_line("abcde", limit=4) == "abcd… (+1 character)"
    assert one_line("a\x1bb", limit=3) == "a… (+2 characters)"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("**b** _i_ `c` ~~s~~", r"\*\*b\*\* \_i\_ \`c\` \~\~s\~\~"),
        ("[x](javascript:1)", r"\[x\](javascript:1)"),
        ("<!-- <img onerror=1> & &lt;", "&lt;!-- &lt;img onerror=1&gt; &amp; &amp;lt;"),
        ("a|b", "a&#124;b"),
        ("ping @team and me@example.com", "ping @\u200bteam and me@\u200bexample.com"),
        ("fixes #12, GH-3, !4", "fixes #\u200b12, GH-\u200b3, !\u200b4"),
        ("at 12:34:56 :x:", "at 12:34:56 :\u200bx:"),
        ("# h", r"\# h"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("https://a.example/b?c=1", "https&#58;//a.example/b?c=1"),
        ("cost $5", "cost &#36;5"),
    ],
)
def test_markdown_renders_as_itself(text: str, escaped: str) -> None:
    assert for_markdown(text) == escaped


@given(st.text("`~a \n|", max_size=40))
def test_nothing_inside_closes_a_code_block(text: str) -> None:
    fence, *body, end = code_block(text).split("\n")
    assert fence == f"{end}text"
    assert not any(line.strip().startswith(end) for line in body)


def test_a_code_block_says_what_it_does_not_show() -> None:
    text = "\n".join("abcdefgh")
    assert code_block(text, 3) == "```text\na\nb\nc\n… 5 more lines\n```"
    assert code_block(text, 3, keep="tail") == "```text\n… 5 more lines\nf\ng\nh\n```"
    assert code_block("x" * 9, 3, 8) == "```text\nxxxxxxxx\n… 1 more character\n```"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("a", "`a`"),
        ("a``b`c", "```a``b`c```"),
        ("`a", "`` `a ``"),
        (" a ", "`  a  `"),
        ("", "` `"),
        ("a|b", "`a|b`"),
        ("a\nb", r"`a\nb`"),
    ],
)
def test_nothing_inside_closes_a_code_span(text: str, span: str) -> None:
    assert code_span(text) == span


def test_a_pipe_in_a_table_does_not_split_the_cell() -> None:
    assert code_span("a|b", in_table=True) == r"`a\|b`"


@pytest.mark.parametrize(
    "text",
    [
        "::error file=a::boom",
        "ok\n  ::set-env name=A::b",
        "ok\n\u3000::stop-commands::x",
        "say ##[error]boom",
        "x ##vso[task.setvariable variable=a]b",
        "##TeamCity[buildProblem]",
        "section_start:1:a\r\x1b[0K",
    ],
)
def test_no_ci_command_survives(text: str) -> None:
    shown = for_ci(text, keep_newlines=True)
    assert not re.search(r"^\s*::|##\w*\[|section_(start|end):", shown, re.MULTILINE)
    assert "\\" in shown


def test_plain_text_is_left_alone_in_ci() -> None:
    assert for_ci("test_a.py::test_b 50% #1 [x]") == "test_a.py::test_b 50% #1 [x]"
    # Nobody undoes `%0A` outside of a command; a command that is copied keeps its addresses.
    assert for_ci("100%0A::error::") == "100%0A::error::"


@given(ANY_TEXT)
def test_an_xml_parser_accepts_it(text: str) -> None:
    element = ET.Element("a")
    element.text = for_xml(text)
    element.set("b", for_xml(text))
    ET.fromstring(ET.tostring(element))


@given(st.binary(max_size=60))
def test_any_bytes_become_text(data: bytes) -> None:
    text = decode(data)
    assert text == data.decode("utf-8", "backslashreplace")
    text.encode()


@pytest.mark.parametrize("hostile", ["\x1b", "`", ":a:", "::\n", "#"])
@pytest.mark.parametrize(
    "make_inert", [for_terminal, one_line, for_markdown, code_block, code_span, for_ci, for_xml]
)
def test_the_work_grows_with_the_text_and_not_its_square(
    make_inert: Callable[[str], str], hostile: str
) -> None:
    # A quadratic pass over 400 kB takes a minute; the bound leaves room for a busy machine.
    begin = time.process_time()
    make_inert(hostile * (400_000 // len(hostile)))
    assert time.process_time() - begin < 2
