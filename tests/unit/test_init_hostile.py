"""Whatever a repository holds, `init` ends, runs nothing, and writes a file that says just that."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from init_rig import SHOP, document, made, plan, repository
from pydantic import TypeAdapter

from loopctl.authoring.drafting.names import LONGEST_SERVICE, loop_name, service_name
from loopctl.authoring.drafting.yaml_lines import Lines, literal, scalar
from loopctl.authoring.init import initial
from loopctl.authoring.looking import tree as trees
from loopctl.authoring.looking.tree import Tree
from loopctl.loopfile.composer import compose_text
from loopctl.loopfile.marks import Source
from loopctl.loopfile.problems import Problems
from loopctl.loopfile.schema import LOOP_NAME
from loopctl.loopfile.schema_base import ServiceId
from loopctl.loopfile.variables import expand

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NASTY = st.sampled_from(
    (
        *("# x", "${HOME}", "$${x}", "${services.a.url}", "*a", "&a", "!!python/object", "- a"),
        *("a: b", "\n  - x", '"', "'", "\\", "on", "010", "null", "~", "{a}", "[", "%x", "@", "`"),
        *("\u2028", "\x1b[2J", "\u202e", "<<", "=", "  ", "\ttab", "\x85", "|", ">", "?", ".."),
    )
)
HOSTILE = st.lists(st.one_of(ANY, NASTY), min_size=1, max_size=3).map("".join)


@given(HOSTILE)
def test_every_text_reads_back_as_itself_and_ends_no_line(text: str) -> None:
    written = f"key: {scalar(text)}  # behind it"
    assert yaml.safe_load(written) == {"key": text}
    lines = written.splitlines()
    assert len(lines) == 1
    own = compose_text(Source(Path("x"), (written,), ""), Problems())
    assert own.text("key") == text


@given(HOSTILE)
def test_nothing_is_filled_into_a_strangers_text(text: str) -> None:
    written = literal(text)
    assert written is None or expand(written, {"HOME": "wrong"}) == (text, False)


@given(HOSTILE)
def test_a_comment_stays_a_comment(text: str) -> None:
    lines = Lines()
    lines.comment(text, 1)
    lines.key(1, "key", "1", text)
    assert yaml.safe_load(str(lines)) == {"key": 1}


@given(HOSTILE)
def test_a_name_of_anything_is_a_name_that_loops_and_services_can_have(text: str) -> None:
    name = loop_name(text)
    assert re.fullmatch(LOOP_NAME, name)
    first = service_name(text, ())
    second = service_name(text, {first})
    assert first != second
    for each in (first, second):
        assert TypeAdapter(ServiceId).validate_python(each) == each
        assert len(each) <= LONGEST_SERVICE


FOLDER = HOSTILE.filter(
    lambda name: "/" not in name and name.strip(".") and len(name.encode()) < 200
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(folder=FOLDER, value=HOSTILE, name=HOSTILE)
def test_hostile_folders_names_and_values_come_through_as_they_are(
    folder: str, value: str, name: str
) -> None:
    compose = yaml.safe_dump(
        {
            "services": {
                name: {
                    "build": {"context": f"./{folder}"},
                    "ports": ["80:80"],
                    "environment": {"GREETING": f"a {value}".replace("$", "$$")},
                }
            }
        },
        allow_unicode=True,
    )
    with tempfile.TemporaryDirectory() as place:
        files = {"compose.yaml": compose, f"{folder}/Dockerfile": "FROM x\nCOPY . .\nEXPOSE 80\n"}
        initially = made(Path(place), files)
        for environment in initially.environments:
            service = plan(initially, environment).services[0]
            if service.source is not None:
                assert service.source.name == folder.strip("/")
                given_value = (service.run.env or {}).get("GREETING")
                assert given_value in (f"a {value}", None)


BROKEN: dict[str, str | bytes] = {
    **SHOP,
    "compose.yaml": "services: {a: [\n",
    "docker-compose.yml": "services: " + "[" * 5_000,
    "package.json": "[" * 50_000,
    "pyproject.toml": "a = [" * 10_000,
    "tox.ini": "]]]\n=\n",
    "setup.cfg": "[tool:pytest]\ntestpaths = %(x)s\n",
    "fly.toml": "\x00",
    "app.json": '{"healthchecks": 3}',
    "service.yaml": "apiVersion: serving.knative.dev/v1\nspec: [1]\n",
    "cloudbuild.yaml": "steps: &a [*a]\n# gcloud\n",
    ".github/workflows/a.yml": "a: !!python/object/apply:os.system ['touch owned']\n# gcloud\n",
    "deploy.sh": "gcloud run deploy 'unclosed --memory=\\\n",
    "shop/bad.py": "def (:\n" + "(" * 10_000,
    "shop/latin.py": "name = 'caf\xe9'".encode("latin-1"),
    "tests/test_deep.py": "x = " + "-" * 20_000 + "1\n",
    "CODEOWNERS": "* ${HOME}\n",
    "Procfile": "web: $(rm -rf /)\n",
    "go.mod": "module x\n",
}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_files_that_are_broken_are_passed_over(tmp_path: Path) -> None:
    initially = made(tmp_path, BROKEN)
    assert plan(initially).services
    assert document(initially)["owner"] == "$${HOME}"
    assert not (tmp_path / "owned").exists()
    assert any("compose.yaml" in gap for gap in initially.gaps)


def test_no_link_is_followed_and_nothing_special_is_opened(tmp_path: Path) -> None:
    outside = repository(tmp_path / "outside", {"Dockerfile": "FROM x\nEXPOSE 54321\n"})
    root = repository(tmp_path / "shop", SHOP)
    (root / "linked").symlink_to(outside)
    (root / "Dockerfile.web").symlink_to(outside / "Dockerfile")
    (root / "around").symlink_to(root)
    os.mkfifo(root / "compose.yaml")
    initially = initial(root)
    assert "54321" not in initially.text
    assert Tree(root).files == Tree(repository(tmp_path / "same", SHOP)).files


def test_a_name_that_is_not_utf8_is_left_out_and_said(tmp_path: Path) -> None:
    root = repository(tmp_path, SHOP)
    (root / os.fsdecode(b"caf\xe9")).mkdir()
    initially = initial(root)
    assert any("not UTF-8" in gap for gap in initially.gaps)


def test_what_is_too_large_too_deep_or_too_much_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "LIMIT_FILES", 20)
    monkeypatch.setattr(trees, "LIMIT_DEPTH", 3)
    files = {**SHOP, "compose.yaml": "#" * (trees.LIMIT_BYTES + 1), "a/b/c/d": ""}
    root = repository(tmp_path, files | {f"Z/{n}": "" for n in range(30)})
    initially = initial(root)
    gaps, passed_over = " ".join(initially.gaps), initially.found.passed_over
    assert "compose.yaml: too large" in gaps
    assert "more than 20 files" in gaps
    assert "a/b/c: too deep" in passed_over


def test_files_made_to_be_slow_are_not(tmp_path: Path) -> None:
    size = trees.LIMIT_BYTES - 200
    files = {
        "Dockerfile": "FROM x\nEXPOSE 80\nENV " + "a " * (size // 2),
        "compose.yaml": "services: {a: {build: ., environment: {X: '" + "${A:-" * 40_000 + "'}}}\n",
        "deploy.sh": "gcloud run deploy x \\\n" * (size // 22),
        "a.py": ("@" + "a." * 900 + "\n") * (size // 1_850),
        "Procfile": "web:" + "\n " * (size // 2),
        ".env": "A=" * (size // 2),
    }
    (tmp_path / "compose.yaml").write_text("---\na:\n" * 37_000)
    began = time.monotonic()
    made(tmp_path, files)
    assert time.monotonic() - began < 20, "it was seconds, and would be minutes"
