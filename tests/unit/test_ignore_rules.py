"""`.dockerignore` by the rules of moby/patternmatcher; the contract tests ask the real client."""

from __future__ import annotations

import pytest

from loopctl.builders.ignore_rules import BadPatternError, IgnoreRules, glob_regex


@pytest.mark.parametrize(
    ("text", "path", "ignored"),
    [
        ("a.txt", "a.txt", True),
        ("a.txt", "x/a.txt", False),
        ("**/a.txt", "a.txt", True),
        ("**/a.txt", "x/y/a.txt", True),
        ("dir", "dir/x/y", True),
        ("dir", "directory/x", False),
        ("/dir/", "dir/x", True),
        ("dir/**", "dir/x/y", True),
        ("dir/*", "dir/x/y", True),
        ("*.txt", "x/a.txt", False),
        ("**", "new\nline", True),
        ("**ne.py", "dir/one.py", True),
        ("*/sub\n!**/deep.py", "dir/sub/deep.py", False),
        ("*/sub\n!**/deep.py", "dir/sub/other.py", True),
        ("dir\n!dir/keep", "dir/keep", False),
        ("dir\n!dir/keep", "dir/keep/below", False),
        ("dir\n!dir/keep\ndir/keep/not", "dir/keep/not", True),
        ("!a\na", "a", True),
        ("# a", "# a", False),
        (" # a", "# a", True),
        ("", "a", False),
        (".", "a", False),
        ("  a  ", "a", True),
        ("! a", "a", False),
        ("a\n! a", "a", False),
        ("a/../b", "b", True),
        (r"\!a", "!a", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a+b(c)|d", "a+b(c)|d", True),
        ("a?c", "a/c", False),
        ("\ufeffa", "a", True),
        ("a\r\nb\r\n", "a", True),
    ],
)
def test_rules_are_those_of_the_docker_client(text: str, path: str, ignored: bool) -> None:
    assert IgnoreRules.of(text).ignores(path) is ignored


@pytest.mark.parametrize("text", ["ok\n[a", "ok\na\\", "ok\n!", "ok\n[]a]", "ok\n[-a]"])
def test_a_bad_pattern_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(BadPatternError, match="line 2"):
        IgnoreRules.of(text)


def test_a_pattern_of_a_copy_stays_within_a_name() -> None:
    assert glob_regex("d*/?.py").match("dir/a.py")
    assert not glob_regex("d*").match("dir/a.py")
    assert glob_regex("x[[]1].txt").match("x[1].txt")
