"""A secret's value is in no file and on no terminal, whoever prints it and in whatever form."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from rig import Project
from services import suite, tiny_service

SECRET = 'kQ7"z/p+W &x%9\\Lm4=Vt2?Rg8#Ej6'

# Says its secret in every way that services were seen to say one.
TALKS = """
import base64, urllib.parse
key = os.environ["API_KEY"]
print("plain", key)
print("inside a word:" + key + ":and on")
for lead in ("", "u:", "ab:"):
    print("Authorization: Basic", base64.b64encode((lead + key + ":tail").encode()).decode())
    print(base64.urlsafe_b64encode((lead + key).encode()).decode().rstrip("="))
print("GET /?key=" + urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key))
print(json.dumps({"key": key, "twice": json.dumps(key)}))
print(repr(key), key.encode().hex(), file=sys.stderr)
sys.stdout.write("split " + key[:7])
sys.stdout.flush()
time.sleep(0.2)
print(key[7:], flush=True)
"""

TESTS = """
import base64, urllib.parse

KEY = os.environ["THE_SECRET"]

@pytest.mark.parametrize("key", [KEY, urllib.parse.quote(KEY)])
def test_it_is_in_the_id_in_the_output_and_in_the_message(key):
    print("the test says", key, base64.b64encode(KEY.encode()).decode())
    print(KEY, file=sys.stderr)
    escaped = urllib.parse.quote(KEY, safe="")
    answer = ask(f"/hello/{escaped}?key={escaped}")
    assert answer == KEY, f"the key is {KEY}"

def test_it_is_in_an_exception():
    ask()
    raise RuntimeError({"headers": {"Authorization": "Bearer " + KEY}})
"""


def forms() -> dict[str, bytes]:
    """What must be found nowhere: the value as text, escaped, and in the usual encodings."""
    found = {
        "plain": SECRET,
        "json": json.dumps(SECRET)[1:-1],
        "json in json": json.dumps(json.dumps(SECRET))[1:-1],
        "repr": repr(SECRET)[1:-1],
        "url": quote(SECRET, safe=""),
        "url path": quote(SECRET),
        "url form": quote_plus(SECRET),
        "html": html.escape(SECRET),
        "hex": SECRET.encode().hex(),
        "HEX": SECRET.encode().hex().upper(),
        # Half of a secret that was cut in two is a secret still.
        "first half": SECRET[:12],
        "second half": SECRET[12:],
    }
    return {name: text.encode() for name, text in found.items()} | dict(base64_forms())


def base64_forms() -> Iterator[tuple[str, bytes]]:
    """The characters that belong to the secret alone, for each of the three alignments."""
    for lead in range(3):
        padded = b"\0" * lead + SECRET.encode()
        for name, encode in (("base64", base64.b64encode), ("url", base64.urlsafe_b64encode)):
            text = encode(padded).rstrip(b"=")
            begin = 0 if lead == 0 else lead + 1
            yield f"{name} at {lead}", text[begin : len(text) - 2]


def assert_kept(where: str, data: bytes) -> None:
    told = [name for name, form in forms().items() if form in data]
    assert not told, f"{where} tells the secret: {told}"


def talking_loop(project: Project) -> None:
    service = tiny_service(project, prelude=TALKS)
    service["run"]["secrets"] = {"API_KEY": {"value": "${THE_SECRET}"}}
    project.loop("web", services={"web": service}, suites=[suite(project, TESTS)])
    project.commit()


def test_a_secret_that_service_and_test_print_is_in_no_file_and_on_no_terminal(
    project: Project,
) -> None:
    talking_loop(project)
    env = {"THE_SECRET": SECRET}
    verbose = project.loopctl("run", "web", "-v", env=env)
    assert verbose.code == 1, str(verbose)
    assert verbose.suite("smoke")["failed"] == 3, "the tests ran and failed"
    assert "test_it_is_in_an_exception" in verbose.err, "every case was told"
    events = project.loopctl("run", "web", "--events", "-v", env=env)
    assert events.code == 1, str(events)

    looks = [("show",), ("report",), ("report", "--json"), ("logs",), ("logs", "--requests")]
    shown = {" ".join(words): project.loopctl(*words) for words in looks}
    for name, ran in {"run -v": verbose, "run --events": events, **shown}.items():
        assert_kept(name, ran.out.encode() + ran.err.encode())
    assert "plain" in shown["logs"].out, "the line itself is there"

    files = [path for path in project.runs_dir.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert_kept(str(path.relative_to(project.root)), path.read_bytes())
    for path in project.runtime.rglob("*"):
        if path.is_file():
            assert_kept(str(path), path.read_bytes())
    assert_kept("a file's name", "\n".join(map(str, project.runs_dir.rglob("*"))).encode())


def test_a_secret_is_on_no_command_line_and_not_with_the_host(project: Project) -> None:
    talking_loop(project)
    project.run("web", env={"THE_SECRET": SECRET})
    pids = [*project.processes(), host_pid(project)]
    assert len(pids) >= 2
    for pid in pids:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert_kept(f"the command line of {command!r}", command)


def host_pid(project: Project) -> int:
    log = (project.runs_dir / "hosts" / "local" / "host.log").read_text()
    return int(log.rpartition("ready as process ")[2].split()[0])
