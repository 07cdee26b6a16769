"""`loopctl doctor --env staging`: everything that an environment on Cloud Run lacks, at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_run_project import PROJECT, REGION, SECRET, CloudProject, Transport, cloud_opened
from rig import Ran
from services import suite, tiny_service

from emulator.faults import api_disabled

LONG = "a-service-whose-name-leaves-no-room-for-a-tag"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudProject]:
    with cloud_opened(tmp_path, "rest") as made:
        yield made


def lines(told: Ran) -> dict[str, str]:
    """What is missing, each with the command below it."""
    found = told.out.splitlines()
    return {
        line.removeprefix("MISSING "): below.strip()
        for line, below in itertools.pairwise(found)
        if line.startswith("MISSING ")
    }


def test_each_thing_that_is_broken_has_a_line_with_what_mends_it(cloud: CloudProject) -> None:
    cloud.green()
    image = cloud.image()
    spec = {"image": image, "provenance": "none"}
    secrets = {"KEY": {"secret": "web-key:latest"}, "GONE": {"secret": "no-such-key:latest"}}
    tiny_service(cloud.project, "own")
    cloud.project.write("own/Dockerfile", "FROM scratch\n")
    place = {"project": PROJECT, "region": REGION, "endpoint": cloud.endpoint}
    cloud.project.loop(
        "web",
        environments={
            "staging": {
                "platform": "cloud-run",
                "transport": "rest",
                "repository": "127.0.0.1:9/apps",
                **place,
            }
        },
        services={
            "web": {**spec, "run": {"secrets": secrets}},
            "odd": {**spec, "run": {"cloud_run": {"nonsense": 1}}},
            "own": {"source": "../own"},
        },
        suites=[suite(cloud.project, "def test_it():\n    ask()\n", target="web")],
    )
    cloud.emulator.faults.lacking.add("run.services.update")
    off = api_disabled(77, "logging.googleapis.com")
    cloud.emulator.faults.on("ListLogEntries", off, times=None)
    before = cloud.writes()
    told = cloud.project.loopctl("doctor", "web", "--env", "staging", env=NO_ENGINE)
    assert told.code == 4, str(told)
    found = {name.partition(":")[0]: hint for name, hint in lines(told).items()}
    assert list(found) == [
        "Docker engine",
        "service odd",
        "permissions on web",
        "registry",
        "Cloud Logging API",
        "secret no-such-key",
    ], str(told)
    assert "make engines" in found["Docker engine"]
    assert "fields as in the Admin API v2" in found["service odd"]
    assert found["permissions on web"] == (
        "gcloud projects add-iam-policy-binding p --member=user:YOU --role=roles/run.developer"
    )
    assert "repository" in found["registry"]
    assert found["Cloud Logging API"] == (
        "gcloud services enable logging.googleapis.com --project=p"
    )
    assert found["secret no-such-key"].startswith("gcloud secrets create no-such-key ")
    assert "ok      service web: " in told.out
    assert " 100 %, verified" in told.out
    assert "ok      secret web-key:latest: is there, and enabled" in told.out
    assert SECRET not in told.out + told.err
    assert cloud.writes() == before


@pytest.mark.parametrize("transport", ["grpc", pytest.param("rest", marks=pytest.mark.slow)])
def test_what_is_well_is_told_and_ends_well(cloud: CloudProject, transport: Transport) -> None:
    cloud.transport = transport
    cloud.loop()
    told = cloud.project.loopctl("doctor", "--env", "staging")
    assert told.code == 0, str(told)
    assert "MISSING" not in told.out
    assert "ok      service web: is not there yet" in told.out
    assert "unknown account of web: cannot be told: " in told.out
    checks = cloud.project.loopctl("doctor", "--env", "staging", "--json").document()["checks"]
    [account] = [each for each in checks if each["check"] == "account of web"]
    assert (account["ok"], account["known"]) == (True, False)


def test_a_name_that_cannot_be_is_told_with_its_place_before_anybody_is_asked(
    cloud: CloudProject,
) -> None:
    cloud.loop(name=LONG)
    told = cloud.project.loopctl("doctor", "--env", "staging")
    assert told.code == 2, str(told)
    assert "loops/web.yaml:" in told.err
    assert "strategy: direct" in told.err
    assert cloud.emulator.calls == []


@pytest.mark.slow
def test_a_run_that_surely_lacks_something_names_it_all_before_anything_is_changed(
    cloud: CloudProject,
) -> None:
    cloud.green()
    secrets = {"GONE": {"secret": "no-such-key:latest"}, "KEY": {"secret": "web-key:9"}}
    cloud.loop(run={"secrets": secrets})
    cloud.emulator.faults.lacking.add("run.services.update")
    revisions = cloud.revisions()
    ran = cloud.project.run("web")
    assert ran.code == 4, str(ran)
    for said in (
        "web: this account lacks run.services.update",
        "--role=roles/run.developer",
        "secret no-such-key:latest: there is no secret no-such-key in p",
        "gcloud secrets create no-such-key ",
        "secret web-key:9: there is no such version",
        "gcloud secrets versions add web-key ",
    ):
        assert said in ran.out, str(ran)
    assert cloud.revisions() == revisions
