"""`${VAR}` and its kin, and where their values come from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopfile_project import MINIMAL, only, place, plan_of, problems_of, project

from loopctl.errors import UsageError
from loopctl.loopfile.env_file import read_env_file
from loopctl.loopfile.variables import ReferenceProblemError, expand

VARIABLES = {"A": "1", "EMPTY": "", "LOOPY": "${A}"}


@pytest.mark.parametrize(
    ("text", "filled", "whole"),
    [
        ("${A}", "1", True),
        ("x${A}y", "x1y", False),
        ("${B:-two}", "two", True),
        ("${EMPTY:-two}", "two", True),
        ("${EMPTY}", "", True),
        ("${B:-${C:-${A}}}", "1", True),
        ("${B:-${services.chat.url}}", "${services.chat.url}", True),
        ("${LOOPY}", "${A}", True),
        ("$${A}", "${A}", False),
        ("$A $ {A} $$", "$A $ {A} $$", False),
        ("${services.chat.ws_url}/ws", "${services.chat.ws_url}/ws", False),
        ("${A:?needed}", "1", True),
    ],
)
def test_references_are_filled_in(text: str, filled: str, whole: bool) -> None:
    assert expand(text, VARIABLES) == (filled, whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${B}", "the variable B is not set"),
        ("${B:?name the project}", "not set: name the project"),
        ("${EMPTY:?why}", "is empty: why"),
        ("${A", "never closed"),
        ("${B:-${A}", "never closed"),
        ("${}", "not followed by the name"),
        ("${1A}", "not followed by the name"),
        ("${A-x}", "no form that is known"),
        ("${A:+x}", "no form that is known"),
        ("${service.chat.url}", "unknown reference"),
        ("${services.chat.uri}", "no field"),
        ("$${services.chat.url}", "written literally"),
        ("${B:-" * 50 + "}" * 50, "nested"),
    ],
)
def test_references_that_cannot_be_filled_in_say_why(text: str, said: str) -> None:
    with pytest.raises(ReferenceProblemError, match=said):
        expand(text, VARIABLES)


@given(st.text(st.sampled_from("${}AB:-?.x services.url"), max_size=60))
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    with suppress(ReferenceProblemError):
        expand(text, {"A": "1"})


def test_text_that_grows_without_end_is_refused() -> None:
    with pytest.raises(ReferenceProblemError, match="longer than 1 MiB"):
        expand("${A}" * 2000, {"A": "x" * 100_000})


def test_a_scalar_that_is_wholly_one_reference_is_typed_as_its_key_wants(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + '    collect_min: "${N}"\n    title: ${N}\n    env: {A: "${T}", B: "${U:-}", C: "${N}"}\n'
    )
    suite = plan_of(project(tmp_path, text), variables={"N": "25", "T": "true"}).suites[0]
    assert (suite.collect_min, suite.title) == (25, "25")
    assert suite.env == {"A": "true", "B": "", "C": "25"}


def test_what_a_variable_gives_is_never_quoted(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL + '    collect_min: ${N}\n    title: ["${N}"]\n')
    for found in problems_of(path, variables={"N": "hunter2"}):
        assert "hunter2" not in str(found)


def test_a_missing_variable_is_named_at_its_place_with_all_others(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL + "    title: ${ONE}\n    env: {A: 'x${TWO}'}\n")
    found = problems_of(path)
    assert [(place(p), p.message) for p in found] == [
        ((10, 12), "the variable ONE is not set"),
        ((11, 14), "the variable TWO is not set"),
    ]


ENVIRONMENTS = """\
environments:
  here: {platform: local}
  there:
    platform: cloud-run
    project: ${GCP:?name the project}
    region: us-central1
    keep_revisions: ${KEEP}
    services: {chat: {run: {memory: "${MEMORY}"}}}
"""


def test_only_the_values_of_the_chosen_environment_must_resolve(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL + ENVIRONMENTS)
    assert plan_of(path, "here").environment.name == "here"
    assert [place(found)[0] for found in problems_of(path, "there")] == [14, 16, 17]


def test_what_the_environment_overrides_need_not_resolve(tmp_path: Path) -> None:
    text = MINIMAL.replace("source: ../app", "source: ${SOURCE}")
    text += "environments: {e: {platform: local, services: {chat: {source: ../app}}}}\n"
    assert plan_of(project(tmp_path, text)).services[0].source == tmp_path / "app"


def test_the_process_wins_over_the_env_file(tmp_path: Path) -> None:
    text = MINIMAL + "    env: {A: 'a${A}', B: 'b${B}'}\n"
    text += "environments: {e: {platform: local, env_file: e.env}}\n"
    path = project(tmp_path, text)
    (path.parent / "e.env").write_text("A=file\nexport B=file\n")
    assert plan_of(path, variables={"A": "process"}).suites[0].env == {
        "A": "aprocess",
        "B": "bfile",
    }


def test_an_env_file_is_read_as_shells_write_it(tmp_path: Path) -> None:
    file = tmp_path / "e.env"
    file.write_text('# c\n\nA=1 # one\nexport B=\'x # y\'\nC="a\\nb\\"" # c\nD=a#b\nE=\n F = g \n')
    assert read_env_file(file) == {
        "A": "1",
        "B": "x # y",
        "C": 'a\nb"',
        "D": "a#b",
        "E": "",
        "F": "g",
    }


def test_a_bad_env_file_names_every_line_and_quotes_none(tmp_path: Path) -> None:
    file = tmp_path / "e.env"
    file.write_text("hunter2\nA='hunter2\nB=1\n=hunter2\n")
    with pytest.raises(UsageError) as caught:
        read_env_file(file)
    assert [place(found)[0] for found in caught.value.problems] == [1, 2, 4]
    assert "hunter2" not in str(caught.value)


def test_a_missing_env_file_is_a_problem_at_its_place(tmp_path: Path) -> None:
    text = MINIMAL + "environments: {e: {platform: local, env_file: e.env}}\n"
    assert place(only(problems_of(project(tmp_path, text)))) == (10, 47)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("    env: {A: '${services.chatt.url}'}\n", "no service"),
        ("    title: ${services.chat.url}\n", "not known here"),
        ("    env: {A: '${services.chat.uri}'}\n", "no field"),
    ],
)
def test_addresses_are_referred_to_where_the_run_knows_them(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in only(problems_of(project(tmp_path, MINIMAL + text))).message


def test_a_service_refers_only_to_what_it_needs(tmp_path: Path) -> None:
    text = MINIMAL.replace("app.py]", "app.py], env: {U: '${services.auth.url}'}")
    text = text.replace("suites:", "  auth: {url: 'https://a.test'}\nsuites:")
    found = only(problems_of(project(tmp_path, text)))
    assert "does not need it" in found.message
    assert found.hint == "needs: [auth]"
    assert (
        plan_of(project(tmp_path, text.replace("source:", "needs: [auth]\n    source:")))
        .services[1]
        .name
        == "chat"
    )
