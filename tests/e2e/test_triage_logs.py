"""`loopctl triage --logs FILE`, as on day one: with nothing set up, by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from exports import Entry, audited, said, served, startup_crash, traceback, write_array
from rig import REPOSITORY

from loopctl.inert import for_terminal
from loopctl.triage.loading import load_catalogue

GOOD = served("chat-00002-kxh", 0)
CRASH = [*GOOD, *startup_crash()]
CONTRACT = {"schema", "environment", "services", "findings", "novel", "unknown", "next"}


def loopctl(
    folder: Path, *arguments: str, stdin: bytes | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """The command in a folder that holds nothing of loopctl."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LOOPCTL_")}
    bare |= env
    ran = subprocess.run(
        [sys.executable, "-m", "loopctl", *arguments],
        cwd=folder,
        env={**bare, "COLUMNS": "40"},
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    out, err = ran.stdout.decode(), ran.stderr.decode()
    return subprocess.CompletedProcess(ran.args, ran.returncode, out, err)


def document(folder: Path, *arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    ran = loopctl(folder, "triage", "--json", *arguments, stdin=stdin)
    assert ran.stderr == ""
    told: dict[str, Any] = json.loads(ran.stdout)
    assert told["exit_code"] == ran.returncode
    return told


def test_an_export_names_the_cause_as_the_contract_has_it(tmp_path: Path) -> None:
    write_array(tmp_path / "export.json", CRASH)
    told = document(tmp_path, "--logs", "export.json")
    assert set(told) >= CONTRACT
    assert (told["schema"], told["environment"], told["services"]) == (1, None, [])
    assert told["exit_code"] == 1
    [finding] = told["findings"]
    assert set(finding) >= {"signature", "title", "service", "confidence", "fingerprint", "status",
                            "evidence", "whys", "remedy"}  # fmt: skip
    assert finding["evidence"][0]["source"].startswith("export.json#")
    assert any("UserExecutionContext" in quote["quote"] for quote in finding["evidence"])
    assert all(why["status"] in ("observed", "inferred", "hypothesis") for why in finding["whys"])
    assert {"template", "count", "quote", "service"} <= set(told["novel"][0])
    assert "UserExecutionContext" in "".join(line["quote"] for line in told["novel"][:3])
    assert any(not command.startswith("loopctl") for command in told["next"])
    assert list(tmp_path.iterdir()) == [tmp_path / "export.json"]


def test_a_person_is_told_within_fifteen_lines_what_to_read_and_what_to_type(
    tmp_path: Path,
) -> None:
    write_array(tmp_path / "export.json", CRASH)
    ran = loopctl(tmp_path, "triage", "--logs", "export.json", "--no-color")
    first = ran.stdout.split("\n\n")[0].splitlines()
    assert len(first) <= 15
    told = "\n".join(first)
    assert first[0].startswith("USERS: not known")
    assert first[1].startswith("VERDICT: something is wrong, export.json")
    for label in ("LIKELY CAUSE: ", 'QUOTE: "', "WHY: ", "NEXT: jq '.[", "NEXT: gcloud logging"):
        assert label in told
    assert ran.returncode == 1


def test_a_good_log_ends_in_0_and_an_unknown_failure_in_3_without_a_finding(
    tmp_path: Path,
) -> None:
    write_array(tmp_path / "good.json", GOOD)
    write_array(tmp_path / "odd.json", [*GOOD, said("ERROR ledger 7 does not add up", 99)])
    good = document(tmp_path, "--logs", "good.json")
    assert (good["exit_code"], good["findings"]) == (0, [])
    odd = document(tmp_path, "--logs", "odd.json")
    assert (odd["exit_code"], odd["findings"]) == (3, [])
    assert odd["novel"][0]["quote"] == "ERROR ledger 7 does not add up"


def test_a_pipe_is_read_and_several_files_with_a_good_time_beside_them(tmp_path: Path) -> None:
    entries = write_array(tmp_path / "a.json", CRASH).read_bytes()
    (tmp_path / "b.log").write_text("api-1  | exited with code 7\n" * 2)
    write_array(tmp_path / "green.json", GOOD)
    told = document(
        tmp_path, "--logs", "-", "--logs", "b.log", "--green", "green.json", stdin=entries
    )
    named = {finding["service"] for finding in told["findings"]}
    assert named == {"chat", "api"}
    assert told["findings"][0]["evidence"][0]["source"].startswith(("stdin#", "b.log#"))
    assert "green.json" in told["ranked_by"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "nothing is named"),
        (("golden-path", "--logs", "x"), "exclude each other"),
        (("--logs", "x", "--env", "staging"), "--env goes with LOOP"),
        (("golden-path", "--green", "x"), "--green goes with --logs"),
        (("--logs", "."), "is a folder"),
        (("--logs", "absent.json"), "absent.json: cannot be read"),
    ],
)
def test_what_cannot_be_asked_ends_in_2_and_says_why(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    ran = loopctl(tmp_path, "triage", *arguments)
    assert ran.returncode == 2
    assert why in ran.stderr


def test_a_variable_for_the_other_form_stands_in_no_ones_way(tmp_path: Path) -> None:
    write_array(tmp_path / "good.json", GOOD)
    ran = loopctl(tmp_path, "triage", "--logs", "good.json", LOOPCTL_ENV="staging")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_hostile_text_reaches_a_terminal_inert(tmp_path: Path) -> None:
    evil = "ERROR \x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066 ::error::x\nUSERS: all is well"
    write_array(tmp_path / "\u202eexport.json", [*GOOD, said(evil, 99)])
    ran = loopctl(tmp_path, "triage", "--logs", "\u202eexport.json")
    assert ran.returncode == 3
    assert ran.stdout == for_terminal(ran.stdout, keep_newlines=True)
    assert [line for line in ran.stdout.splitlines() if line.startswith("USERS")] == [
        "USERS: not known: nothing but logs was looked at"
    ]


def test_signatures_of_ones_own_are_held_against_an_export(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "schema: 1\nid: mine.flux\ntitle: The flux is off\nseverity: high\n"
        "confidence: {base: 0.8, per_corroboration: 0.1, act_at: 0.99}\n"
        "match: {any: [{on: log, regex: 'flux at (?P<value>[0-9]+)'}]}\nwhys: []\n"
        "remedy: {action: person, mode: person, detail: turn it}\n"
        "links: ['https://example.com/265']\n"
        "tests: {positive: [a.jsonl], negative: [green.jsonl]}\n"
    )
    write_array(tmp_path / "x.json", [*GOOD, said("ERROR flux at 7", 99)])
    told = document(tmp_path, "--logs", "x.json", "--signatures", "mine.yaml")
    [finding] = told["findings"]
    assert (finding["signature"], finding["links"]) == ("mine.flux", ["https://example.com/265"])


REFUSED = {
    "image": "Image 'us-docker.pkg.dev/acme/chat/chat:9' not found.",
    "permission": "Google Cloud Run Service Agent service-1@serverless-robot-prod.iam."
    "gserviceaccount.com must have permission to read the image, us-docker.pkg.dev/acme/chat:9. "
    "Ensure that the provided container image URL is correct.",
    "secret": "spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission "
    "denied on secret: projects/1/secrets/jwt/versions/latest for Revision service account "
    "chat@acme.iam.gserviceaccount.com.",
    "quota": "Quota exceeded for total allowable CPU per project per region.",
}
SOCKETS = {
    "1011": "ERROR Factory SSOT validation failed: UserExecutionContext has no thread_id",
    "1000": "main cleanup closes 14 connections with 1000",
}


def incident(name: str) -> list[Entry]:
    """The entries of a failure that the incidents or the facts tell of."""
    if name in REFUSED:
        return [audited(REFUSED[name], 100, "chat-00003-6kk")]
    if name in SOCKETS:
        return traceback(SOCKETS[name], 100)
    return startup_crash()[:3] + traceback(
        "JWT_SECRET_STAGING validation failed: JWT_SECRET_STAGING required in staging environment",
        107,
        revision="chat-00003-6kk",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("image", "platform."), ("permission", "platform."), ("secret", "platform."),
        ("quota", "platform."), ("1011", "ws.closed-1011"), ("1000", "ws.closed-1000"),
        ("configuration", "deploy.missing-configuration"),
    ],
)  # fmt: skip
def test_each_incident_is_known_from_its_export(tmp_path: Path, name: str, wanted: str) -> None:
    write_array(tmp_path / "export.json", [*GOOD, *incident(name)])
    told = document(tmp_path, "--logs", "export.json")
    assert told["findings"][0]["signature"].startswith(wanted)
    assert told["findings"][0]["service"] == "chat"


FIXTURES = REPOSITORY / "src/loopctl/triage/catalogue/fixtures"
KNOWN = [
    (signature.id, next(log for log in signature.tests.positive if log.endswith(".log")))
    for signature in load_catalogue().signatures
    if any(log.endswith(".log") for log in signature.tests.positive)
]


@pytest.mark.slow
@pytest.mark.parametrize(("cause", "log"), KNOWN, ids=[cause for cause, _ in KNOWN])
def test_a_cause_is_known_from_an_export_of_its_log(tmp_path: Path, cause: str, log: str) -> None:
    told = document(tmp_path, "--logs", str(FIXTURES / log))
    assert told["exit_code"] == 1
    assert told["findings"][0]["signature"] == cause


@pytest.mark.slow
def test_a_hundred_thousand_entries_take_seconds(tmp_path: Path) -> None:
    many = served("chat-00002-kxh", 0, 33_000)[:99_970]
    write_array(tmp_path / "big.json", [*many, *startup_crash(40_000)])
    began = time.monotonic()
    told = document(tmp_path, "--logs", "big.json")
    assert told["findings"][0]["service"] == "chat"
    # About four seconds of one core; a machine that does much else must not fail it.
    assert time.monotonic() - began < 40
