"""Runs that have nothing in common but a bucket: the second uses what the first has shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from rig import Project, Ran, opened
from test_control import loop

from emulator.storage_server import StorageServer, Trouble, storage_server

PLACE = "gs://ours/loopctl"
BORNE_OUT = "unchanged since a control run has borne it out"
KEPT = "what this run tells was not kept for later runs"


@pytest.fixture
def server() -> Iterator[StorageServer]:
    with storage_server("ours") as made:
        yield made


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Another checkout, with a home, a runtime folder and a runs folder of its own."""
    with opened(tmp_path_factory.mktemp("elsewhere")) as made:
        yield made


def run(project: Project, server: StorageServer) -> tuple[Ran, list[str]]:
    """A run whose history is in the bucket, and the tests that it executed."""
    project.env["STORAGE_EMULATOR_HOST"] = server.url
    loop(project, history=PLACE)
    counted = project.root / "ran"
    counted.unlink(missing_ok=True)
    ran = project.run("web")
    return ran, counted.read_text().split()


@pytest.mark.slow
def test_a_run_on_another_machine_knows_what_was_borne_out_on_the_first(
    project: Project, elsewhere: Project, server: StorageServer
) -> None:
    first, executed = run(project, server)
    assert first.code == 0, str(first)
    assert executed == ["test_honest"] * 3, "itself, refused, and answered wrongly"
    record = f"loopctl/web/local/{first.run.name}.json"
    assert server.buckets.names("ours") == ["loopctl/key", record]
    assert not (project.runs_dir / "history").exists()
    assert json.loads((first.run / "summary.json").read_text())["history"] == PLACE

    second, executed = run(elsewhere, server)
    assert second.code == 0, str(second)
    assert executed == ["test_honest"]
    assert second.case("::test_honest")["control"] == BORNE_OUT
    assert len(server.buckets.names("ours")) == 3

    told = elsewhere.loopctl("runs", "--suite", "smoke", "--json").document()
    assert [each["run_id"] for each in told["runs"]] == [second.run.name, first.run.name]
    assert [each["runs"] for each in told["cases"]] == [2]


@pytest.mark.slow
def test_a_bucket_that_cannot_be_had_changes_no_verdict_and_is_told(
    project: Project, server: StorageServer
) -> None:
    text = "ci@p.iam.gserviceaccount.com does not have storage.objects.create access."
    server.troubles.append(Trouble("refuse", status=403, message=text, times=99))
    ran, executed = run(project, server)
    assert ran.code == 0, str(ran)
    assert executed == ["test_honest"] * 3
    told = ran.out + ran.err
    assert KEPT in told
    assert text in told
    assert f"{PLACE}/web/local/{ran.run.name}.json" in told


def test_a_place_that_no_bucket_has_is_told_before_anything_is_begun(
    project: Project,
) -> None:
    loop(project, history="gs://Ours//x")
    ran = project.run("web")
    assert ran.code == 2, str(ran)
    assert "loops/web.yaml:" in ran.err
    assert '"gs://Ours//x" names no place in a bucket' in ran.err
    assert ran.folder is None


@pytest.mark.slow
def test_commands_that_need_no_history_do_not_ask_for_it(
    project: Project, server: StorageServer
) -> None:
    run(project, server)
    server.calls.clear()
    for words in (["runs"], ["show"], ["validate", "web"], ["down", "web"]):
        done = project.loopctl(*words)
        assert done.code in (0, 10), str(done)
    assert server.calls == []
