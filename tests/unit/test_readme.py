"""The README and the pages in docs/ say what is so: examples run, tables are whole, links lead."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
import yaml

from loopctl import api
from loopctl.cli.app import app
from loopctl.errors import ExitCode, UsageError
from loopctl.journal.codec import KINDS
from loopctl.loopfile.later import LATER, Later
from loopctl.loopfile.schema import json_schema
from loopctl.model.evidence import CaseStatus, Grade
from loopctl.model.state import StopReason, Verdict
from loopctl.triage.acting import acts_alone
from loopctl.triage.loading import load_catalogue

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_INSIDE_LATER = frozenset({"RequestPart", "ExpectPart"})
"""Parts of keys that are refused as a whole: their inside is not this version's business."""


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for word, body in _BLOCK.findall(text) if word == language]


def _words(page: Path) -> set[str]:
    """Everything that the page has in backticks, blocks left out."""
    return set(_CODE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))))


def _project(folder: Path, loop: str) -> Path:
    """A project that has what the examples name, with the loop file in it."""
    for name in ("loops", "api/tests"):
        (folder / name).mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "api" / "app.py").write_text("print()\n")
    (folder / "loops" / "shop.yaml").write_text(loop, encoding="utf-8")
    return folder


LOOPS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(_blocks(page, "yaml"), start=1)
]


def test_there_are_loops_to_check() -> None:
    assert len(LOOPS) >= 2


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_shown_is_complete_valid_and_runnable_today(loop: str, tmp_path: Path) -> None:
    project = _project(tmp_path, loop)
    for environment in [None, *yaml.safe_load(loop).get("environments", {})]:
        plan = api.load("shop", environment=environment, cwd=project, variables={"API_KEY": "k"})
        assert not plan.later


def test_the_table_of_commands_is_the_command_lines_own() -> None:
    shown = {word.split()[1] for word in _words(README) if re.match(r"loopctl [a-z]+", word)}
    commands = {command.name for command in app.registered_commands}
    commands |= {str(group.name) for group in app.registered_groups}
    assert shown == commands


def test_every_exit_code_and_verdict_is_explained() -> None:
    rows = "\n".join(line for line in README.read_text().splitlines() if line.startswith("| "))
    codes = {
        int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", rows, re.M) for n in cell.split(",")
    }
    assert codes == set(ExitCode)
    assert {verdict.value for verdict in Verdict} <= _words(README)


def test_every_grade_and_status_is_explained() -> None:
    assert {grade.value for grade in Grade} <= _words(README)
    assert {status.value for status in CaseStatus} <= _words(README)


def test_every_known_cause_is_explained_and_no_other() -> None:
    known = {signature.id for signature in load_catalogue().signatures}
    rooms = "|".join(sorted({name.partition(".")[0] for name in known}))
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    shown = re.findall(rf"^\| `((?:{rooms})\.[a-z0-9-]+)` \|", page, re.MULTILINE)
    assert sorted(shown) == sorted(known)


def test_what_auto_does_by_itself_stands_in_its_column_and_how_sure_it_must_be() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([a-z]+\.[a-z0-9-]+)` \| [^|]+ \| (\S+) \|", page, re.MULTILINE))
    known = load_catalogue().signatures
    assert shown == {k.id: k.remedy.action if acts_alone(k) else "–" for k in known}
    others = {k.id: k.confidence.act_at for k in known if acts_alone(k)}
    usual = {name for name, act_at in others.items() if act_at == 0.9}
    assert "0.9 or more" in page
    assert all(f"`{name}`: {others[name]:g}" in page for name in others.keys() - usual)
    assert {k.remedy.limit for k in known if acts_alone(k)} == {1}, "once in a run"


def test_every_kind_of_event_and_stop_reason_is_explained() -> None:
    words = _words(DOCS / "files.md")
    assert KINDS.keys() <= words
    assert {reason.value for reason in StopReason} <= words


def _properties(part: Mapping[str, object]) -> Collection[str]:
    properties = part.get("properties")
    return properties.keys() if isinstance(properties, dict) else ()


def test_every_key_of_the_loop_file_is_explained() -> None:
    named = set(re.findall(r"[a-z_]+", " ".join(_words(DOCS / "loop-file.md"))))
    schema = json_schema()
    parts = {name: part for name, part in schema["$defs"].items() if name not in _INSIDE_LATER}
    keys = {key for part in (schema, *parts.values()) for key in _properties(part)}
    assert not keys - named


@pytest.mark.parametrize("rule", LATER, ids=lambda rule: rule.path)
def test_what_comes_later_is_called_later(rule: Later) -> None:
    key = rule.path.removesuffix(".kind" if ".auth." in rule.path else "").rpartition(".")[2]
    page = (DOCS / "loop-file.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(rf"\|[^|]*\b{key}`", line)]
    assert any("| later" in row for row in rows)


def test_every_room_of_the_house_is_on_the_map() -> None:
    package = ROOT / "src" / "loopctl"
    rooms = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= _words(DOCS / "architecture.md")


def _anchor(heading: str) -> str:
    """As GitHub, and the site, make one of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in set(map(_anchor, headings)), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:work|home|root|Users)/", text)


def test_a_loop_with_an_unknown_key_would_be_noticed(tmp_path: Path) -> None:
    broken = _blocks(README, "yaml")[0].replace("source:", "sorce:")
    with pytest.raises(UsageError, match="sorce"):
        api.load("shop", cwd=_project(tmp_path, broken), variables={})
