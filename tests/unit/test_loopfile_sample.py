"""The sample of the documentation: it validates, and what comes later is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, only, place, plan_of, problems_of, project

from loopctl.model.evidence import Grade
from loopctl.model.plan import (
    AuthSpec,
    BucketPlace,
    PlatformKind,
    Priority,
    RemediationMode,
    UrlPlace,
)

SAMPLE = Path(__file__).parent / "fixtures" / "loopfile" / "golden-path.yaml"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = project(tmp_path, SAMPLE.read_text(encoding="utf-8"), "golden-path")
    (tmp_path / "examples" / "chat").mkdir(parents=True)
    (tmp_path / "examples" / "chat" / "main.py").touch()
    (path.parent / "base.yaml").write_text("loop: {jobs: 4, max_cycles: 9}\n")
    (path.parent / "signatures").mkdir()
    (path.parent / "signatures" / "our-known-issues.yaml").touch()
    (path.parent / "config").mkdir()
    (path.parent / "config" / "staging.env").write_text("GCP_PROJECT=ours\n")
    return path


def test_the_sample_validates_on_local_with_no_variable_set(sample: Path, tmp_path: Path) -> None:
    plan = plan_of(sample)
    assert plan.environment.platform is PlatformKind.LOCAL
    assert [service.name for service in plan.services] == ["auth", "chat"]
    assert [(s.id, s.priority) for s in plan.suites] == [
        ("ws-events", Priority.P0),
        ("p1-critical", Priority.P1),
        ("endpoints", Priority.P1),
    ]
    chat, suite = plan.service("chat"), plan.suites[1]
    assert chat.source == tmp_path / "examples" / "chat"
    assert chat.run.command == ("python", "-m", "chat")
    assert (chat.run.memory, chat.run.timeout_s, chat.run.cpu) == (512 * 1024**2, 300.0, "1")
    assert (chat.health.stable_for_s, chat.health.expect) == (5.0, {"status": "healthy"})
    assert (suite.suite_timeout_s, suite.test_timeout_s) == (600.0, 120.0)
    assert suite.python == str(tmp_path / ".venv" / "bin" / "python")
    assert (suite.evidence.require, suite.evidence.target) == (Grade.OBSERVED, ("chat",))
    assert plan.remediation.mode is RemediationMode.PROPOSE
    assert [(c.value, c.limit) for c in plan.criteria] == [(2.0, "2s"), (0.5, "500ms")]


def test_a_map_merges_with_what_is_extended(sample: Path) -> None:
    plan = plan_of(sample)
    assert (plan.limits.jobs, plan.limits.max_cycles) == (2, 3)
    assert plan.files is not None
    assert list(plan.files) == ["loops/golden-path.yaml", "loops/base.yaml"]


def test_no_key_of_the_sample_comes_later_and_its_notice_waits_for_a_variable(sample: Path) -> None:
    plan = plan_of(sample)
    assert plan.later == ()
    (notice,) = plan.notices
    assert (notice.url, notice.unset) == (None, "SLACK_WEBHOOK")


def test_an_override_of_the_environment_is_merged_over_the_service(sample: Path) -> None:
    plan = plan_of(sample, "staging")
    assert plan.service("chat").run.memory == 2 * 1024**3
    assert plan.service("chat").run.concurrency == 80
    assert plan.environment.cloud_run is not None
    assert plan.environment.cloud_run.repository == "us-central1-docker.pkg.dev/ours/apps"
    assert plan.environment.require_env == ("JWT_SECRET_STAGING", "REDIS_PASSWORD")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("    executor: cloud-run-job\n", "executor"),
    ],
)
def test_a_later_key_is_accepted_and_named(tmp_path: Path, text: str, key: str) -> None:
    later = only(plan_of(project(tmp_path, MINIMAL + text)).later)
    line, column = place(later)
    assert (MINIMAL + text).splitlines()[line - 1][column - 1 :].startswith(f"{key}:")


def test_what_is_had_today_is_not_called_later(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "source:", "auth: none\n    migrations: [db/*.sql]\n    image: null\n    source:"
    )
    text += "    retries: 2\n    shards: auto\n    repeatable: true\n    executor: local\n"
    text += "    evidence: {control: changed, receipts: on}\n"
    text += "    quarantine: [{case: a, owner: ana, until: 2999-12-31}]\n"
    text += "  - {id: other, kind: command, run: 'go test > {junit}'}\n"
    text += "remediate: {mode: auto, may_edit: [a]}\nhistory: kept\n"
    text += "criteria: [{metric: error_rate, op: '<=', value: 0}]\n"
    text += "environments: {e: {platform: local, services: {chat: {build: {alters: [a]}}}}}\n"
    path = project(tmp_path, text)
    assert problems_of(path) == ()
    assert plan_of(path).later == ()


@pytest.mark.parametrize("written", ["../kept", "file://../kept"])
def test_history_is_a_folder_from_the_file_that_names_it(tmp_path: Path, written: str) -> None:
    path = project(tmp_path, MINIMAL + f"history: {written}\n")
    assert plan_of(path).history == tmp_path / "kept"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("gs://ours/loopctl", BucketPlace("ours", "loopctl")),
        ("gs://ours/a/b.c_d-1=x/", BucketPlace("ours", "a/b.c_d-1=x")),
        ("gs://our.own-bucket_1", BucketPlace("our.own-bucket_1")),
        ("gs://ours/", BucketPlace("ours")),
        ("gs://${BUCKET:-ours}/x", BucketPlace("ours", "x")),
    ],
)
def test_history_is_a_place_in_a_bucket(tmp_path: Path, written: str, place: BucketPlace) -> None:
    plan = plan_of(project(tmp_path, MINIMAL + f"history: {written}\n"))
    assert plan.history == place
    assert plan.later == ()
    assert BucketPlace.of_url(str(place)) == place


def test_history_is_any_place_that_fsspec_reaches(tmp_path: Path) -> None:
    plan = plan_of(project(tmp_path, MINIMAL + "history: local:///mnt/loopctl/\n"))
    assert plan.history == UrlPlace("local:///mnt/loopctl")
    assert UrlPlace.of_url(str(plan.history)) == plan.history


@pytest.mark.parametrize(
    ("written", "said", "hint"),
    [
        ("s3://ours/loopctl", "not installed beside loopctl: s3fs", "pip install s3fs"),
        ("az://ours/loopctl", "not installed beside loopctl: adlfs", "pip install adlfs"),
        ("sftp://host/loopctl", "not installed beside loopctl: paramiko", "pip install paramiko"),
        ("smb://host/share", "not installed beside loopctl: smbprotocol", "install smbprotocol"),
        ("sftpp://ours/x", "fsspec knows no filesystem sftpp://", "did you mean sftp"),
        ("nowhere://ours", "fsspec knows no filesystem nowhere://", "a folder, gs://bucket"),
        ("https://host/x", "nothing can be written to https://", "a folder, gs://bucket"),
        ("simplecache::s3://ours/x", "names no place for a history", "no chain"),
        ("sftp://ana:hunter22@host/x", "has a password in it", "name the user alone"),
    ],
)
def test_a_place_that_cannot_be_spoken_to_is_told_with_what_to_do(
    tmp_path: Path, written: str, said: str, hint: str
) -> None:
    found = only(problems_of(project(tmp_path, MINIMAL + f"history: {written}\n")))
    assert said in found.message
    assert hint in str(found.hint)
    assert "hunter22" not in str(found)
    assert place(found) == (MINIMAL.count("\n") + 1, len("history: ") + 1)


@pytest.mark.parametrize(
    "written",
    [
        *("gs://", "gs:///loopctl", "gs://Ours/x", "gs://ab", "gs://-ab/x", "gs://ours//x"),
        *("gs://ours/../x", "gs://ours/a//b", "gs://ours/./b", "gs://ours/a b", "gs://ours/ü"),
        *("'gs://ours/a?b'", "'gs://ours/a#b'", "'gs://ours/*'", '"gs://ours/a\\nb"'),
        "gs://ours/" + "x" * 500,
    ],
)
def test_a_place_that_no_bucket_has_is_refused_where_it_stands(
    tmp_path: Path, written: str
) -> None:
    found = only(problems_of(project(tmp_path, MINIMAL + f"history: {written}\n")))
    assert "names no place in a bucket" in found.message
    line, column = place(found)
    assert (line, column) == (MINIMAL.count("\n") + 1, len("history: ") + 1)
    assert found.hint is not None
    assert found.hint.startswith("gs://bucket/prefix: ")


GATE = """\
  pay:
    url: https://pay-1.example
    auth:
      kind: id_token
      audience: https://pay.example
      impersonate: t@shop.iam.gserviceaccount.com
"""


def gated(gate: str) -> str:
    return MINIMAL.replace("suites:", f"{gate}suites:")


def test_a_service_that_wants_a_token_says_for_whom_and_as_whom(tmp_path: Path) -> None:
    text = gated(GATE).replace("  chat:\n", "  chat:\n    auth: id_token\n")
    chat, pay = plan_of(project(tmp_path, text)).services
    assert (chat.auth, chat.auth.kind) == (AuthSpec("id_token"), "id_token")
    assert pay.auth == AuthSpec("id_token", "https://pay.example", "t@shop.iam.gserviceaccount.com")
    assert not plan_of(project(tmp_path, text)).later


def test_no_token_goes_where_there_is_no_tls(tmp_path: Path) -> None:
    there = GATE.replace("https://pay-1.example", "http://pay-1.example")
    problem = only(problems_of(project(tmp_path, gated(there))))
    assert problem.message == '"auth" would send a token where there is no TLS'
    here = GATE.replace("https://pay-1.example", "http://localhost:9000")
    assert problems_of(project(tmp_path, gated(here))) == ()


def test_what_a_token_would_say_does_nothing_where_none_is_wanted(tmp_path: Path) -> None:
    text = gated(GATE.replace("kind: id_token", "kind: none"))
    messages = [problem.message for problem in problems_of(project(tmp_path, text))]
    assert messages == [
        '"audience" does nothing with "kind: none"',
        '"impersonate" does nothing with "kind: none"',
    ]
