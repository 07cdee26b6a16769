"""Bad input: a clear error, at once, and the service left as it was."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rig import CONTROL, Project, Ran, met_by_users, until
from services import ASKS, tiny_loop

WAITS = ASKS + (
    "def test_waits():\n    ask()\n    open('waiting', 'w').close()\n    time.sleep(60)\n"
)


def refused(ran: Ran, within: float = 3.0) -> str:
    """What was said by a command that refused its input: at once, on stderr, with exit code 2."""
    assert ran.code == 2, str(ran)
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert ran.seconds < within
    return ran.err


def test_a_loop_that_is_not_there_is_answered_with_the_nearest_names(project: Project) -> None:
    tiny_loop(project, name="golden-path")
    tiny_loop(project, name="web")
    said = refused(project.run("golden-pth"))
    assert "golden-pth" in said
    assert "golden-path, web" in said


def test_a_hundred_errors_are_a_hundred_errors(project: Project) -> None:
    tiny_loop(project)
    loop = project.root / "loops" / "web.yaml"
    good = loop.read_text()
    loop.write_text(good + "".join(f"wrong_{number}: 1\n" for number in range(100)))
    said = refused(project.run("web"))
    first = len(good.splitlines()) + 1
    for number in range(100):
        assert f'loops/web.yaml:{first + number}:1: unknown key "wrong_{number}"' in said
    assert "100 problems" in said
    document = project.loopctl("validate", "web", "--json").document()
    assert len(document["problems"]) == 100
    assert all(problem["where"] for problem in document["problems"])


def bomb() -> str:
    lines = ["version: 1", "name: bad", "x-a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, two in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"x-{two}: &{two} [{', '.join([f'*{one}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(), id="bomb"),
        pytest.param(
            "version: 1\nname: bad\nx-deep: " + "[" * 100_000, id="brackets", marks=pytest.mark.slow
        ),
        pytest.param(
            "version: 1\nname: bad\nx-deep: " + "{a: " * 50_000, id="braces", marks=pytest.mark.slow
        ),
        pytest.param("", id="empty", marks=pytest.mark.slow),
        pytest.param("version: 1\x00\n", id="NUL"),
        pytest.param("- just\n- a list\n", id="list", marks=pytest.mark.slow),
        pytest.param("version: 1\nname: 'bad\n", id="open quote", marks=pytest.mark.slow),
    ],
)
def test_a_file_that_is_no_loop_is_refused_at_once(project: Project, text: str) -> None:
    project.write("loops/bad.yaml", text)
    said = refused(project.run("bad"))
    assert "loops/bad.yaml" in said
    assert len(said) < 20_000


def test_bytes_that_are_no_loop_are_refused_at_once(project: Project) -> None:
    huge = project.write("loops/huge.yaml", "version: 1\n")
    with huge.open("r+b") as file:
        file.truncate(100 * 1024 * 1024)
    assert "104,857,600 bytes" in refused(project.run("huge"))
    project.write("loops/latin.yaml", "name: caf\u00e9\n".encode("latin-1"))
    assert "UTF-8" in refused(project.run("latin"))


def test_a_source_that_cannot_be_used_is_an_error_with_its_place(project: Project) -> None:
    tiny_loop(project)
    text = (project.root / "loops" / "web.yaml").read_text()
    row = next(n for n, line in enumerate(text.splitlines(), 1) if "source: ../web" in line)
    outside = project.root.parent / "outside"
    outside.mkdir()
    (outside / "service.py").write_text("")
    (project.root / "link").symlink_to(outside)
    (project.root / "hollow").mkdir()
    for name, why in {"nowhere": "does not exist", "link": "outside", "hollow": "no files"}.items():
        project.write("loops/web.yaml", text.replace("../web", f"../{name}", 1))
        said = refused(project.run("web"))
        assert f"loops/web.yaml:{row}:13: " in said, said
        assert why in said, said


def test_keys_of_a_later_version_are_named_with_their_place(project: Project) -> None:
    tiny_loop(project)
    loop = project.root / "loops" / "web.yaml"
    text = loop.read_text()
    row = len(text.splitlines()) + 1
    loop.write_text(text + "- {id: far, run: ../tests, executor: cloud-run-job}\n")
    for command in ("run", "plan"):
        said = refused(project.loopctl(command, "web"))
        assert f"loops/web.yaml:{row}:" in said
        assert "executor" in said
    assert not project.run_folders(), "no run was begun"
    assert project.loopctl("validate", "web").code == 0, "a valid loop, all the same"


def test_a_runs_folder_that_cannot_be_written_is_told_before_anything_is_done(
    project: Project,
) -> None:
    tiny_loop(project)
    project.write("in-the-way", "a file")
    ran = project.run("web", "--runs-dir", "in-the-way/runs")
    assert ran.code == 4, str(ran)
    assert "in-the-way" in ran.err
    assert "nothing was changed" in ran.err
    assert "choose another" in ran.err
    assert not project.processes()


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_is_told_and_the_service_left_as_it_was(
    project: Project, small_disk: Path
) -> None:
    tiny_loop(project)
    green = project.run("web")
    assert green.code == 0, str(green)
    url, good = green.stable_url, green.service("web")["revision"]
    filler = fill(small_disk)
    full = project.run("web")
    assert full.code in (4, 5), str(full)
    assert "space" in (full.out + full.err)
    assert "Traceback" not in full.err
    assert met_by_users(url) == good
    filler.unlink()

    fills = ASKS + (
        "def test_fills_the_disk():\n    ask()\n"
        "    with open('.loopctl/filler', 'wb', buffering=0) as file:\n"
        "        with pytest.raises(OSError):\n            while True:\n"
        "                file.write(b'x' * 4096)\n"
    )
    tiny_loop(project, fills)
    during = project.run("web")
    assert during.code not in (0, 70), str(during)
    assert "Traceback" not in during.err
    assert met_by_users(url) == good
    filler.unlink()
    tiny_loop(project)
    after = project.run("web")
    assert after.code == 0, str(after)


HOSTILE = r"""
evil = [
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "# Heading [click](http://evil.example) ![x](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)><script>alert(1)</script> | pipe | `tick` </details>",
    "::error file=a.py,line=1::stolen ::set-output name=a::b",
    "over\rwritten \x00 nul \x08\x08 \x7f \x9b31m",
    "bidi \u202e gnitset \u2066 isolate \u2069",
]
for line in evil:
    sys.stdout.buffer.write((line + "\n").encode())
    sys.stderr.buffer.write(("ERROR " + line + "\n").encode())
sys.stdout.buffer.write(b"\xff\xfe\x80 not utf-8 \xc3\x28\n")
sys.stdout.buffer.write(b"y" * 10_000_000 + b"\n")
sys.stdout.buffer.flush()
"""
HOSTILE_TESTS = (
    "EVIL = ["
    r"""
    "\x1b[31mred", "::error::x", "[click](http://evil.example)", "<img src=x onerror=alert(1)>",
    "a\rb", "\u202egnitset", "`tick` | pipe", "\x00", "# Heading", "</details><b>bold</b>",
]

@pytest.mark.parametrize("evil", EVIL, ids=EVIL)
def test_it(evil):
    print("it says", evil)
    sys.stdout.buffer.write(b"\xff\xfe \x1b[2J\n")
    ask()
    raise AssertionError(evil + "\n::error::" + evil + "\n<script>alert(1)</script>")
"""
)


def test_hostile_lines_and_names_break_neither_report_nor_terminal(project: Project) -> None:
    tiny_loop(project, HOSTILE_TESTS, prelude=HOSTILE)
    ran = project.loopctl("run", "web", "-v")
    assert ran.code == 1, str(ran)
    assert ran.suite("smoke")["failed"] == 10
    looks = [("show",), ("report",), ("logs",), ("logs", "--requests"), ("runs",)]
    for looked in (ran, *(project.loopctl(*words) for words in looks)):
        for text in (looked.out, looked.err):
            found = CONTROL.search(text)
            assert found is None, f"{found} in {text[max(0, found.start() - 60) :][:120]!r}"
            assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    worklog = (ran.run / "worklog.md").read_text()
    assert "onerror" in worklog, "what was said is told, made harmless"
    assert_inert(worklog)
    ET.parse(ran.run / "junit.xml")
    for line in (ran.run / "journal.jsonl").read_text().splitlines():
        json.loads(line)
    assert max(len(line) for line in ran.out.splitlines()) < 4000, "ten megabytes are not shown"


def assert_inert(markdown: str) -> None:
    """Nothing in a report that a reader did not expect: no HTML but our own, no link, no image."""
    assert CONTROL.search(markdown) is None
    own = {"<details>", "</details>", "<summary>", "</summary>", "<br>"}
    for token in walk(MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)):
        if token.type in ("html_block", "html_inline"):
            tags = {part.strip() + ">" for part in token.content.split(">") if "<" in part}
            left = {tag[tag.index("<") :] for tag in tags} - own
            assert not left, f"live HTML: {token.content[:200]!r}"
        assert token.type != "image", token.attrs
        if token.type == "link_open":
            assert "evil" not in str(token.attrGet("href")), token.attrs
        if token.type == "inline" and token.content == "Heading":
            pytest.fail("a log line became a heading")


def walk(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from walk(token.children or [])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="SIGINT", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_run_and_puts_back_what_was(
    project: Project, number: signal.Signals, code: int
) -> None:
    tiny_loop(project)
    green = project.run("web")
    assert green.code == 0, str(green)
    tiny_loop(project, WAITS, timeout={"suite": "90s", "test": "80s"})
    going = project.start("run", "web", "-q")
    until((project.root / "waiting").exists)
    if number is signal.SIGINT:
        holder = going.folder().name
        other = project.run("web")
        assert other.code == 6, str(other)
        assert holder in other.line("FAILED"), "it names the run that holds the target"
        assert other.result["verdict"] == "locked"
        assert project.loopctl("down", "web").code == 6
    going.signal(number)
    ran = going.end(20)
    assert ran.code == code, str(ran)
    assert ran.result["verdict"] == "interrupted"
    assert ran.result["stop_reason"] == "interrupted"
    assert met_by_users(green.stable_url) == green.service("web")["revision"]
    for name in ("worklog.md", "result.json", "summary.json", "junit.xml"):
        assert (ran.run / name).stat().st_size > 0
    assert not [pid for pid in project.processes() if is_pytest(pid)], "the suite was ended"


def is_pytest(pid: int) -> bool:
    try:
        return b"test_smoke" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_service_that_finds_a_port_taken_is_quoted(project: Project) -> None:
    taken = "import socket\nother = socket.create_server(('127.0.0.1', 0))\n"
    again = "ThreadingHTTPServer(other.getsockname(), Handler)\n"
    tiny_loop(project, prelude=taken + again)
    ran = project.run("web")
    assert ran.code == 5, str(ran)
    assert "Address already in use" in ran.out
    assert ran.stage("health")["duration_s"] < 3
