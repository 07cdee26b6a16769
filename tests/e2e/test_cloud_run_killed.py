"""Runs on Cloud Run that are SIGKILLed at any event, gone on with, and compared with others.

No cycle ever makes two revisions, and users are never left with what nobody has verified.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cloud_run_project import CloudProject, Serving, cloud_opened, template_of
from kill_rig import (
    Site,
    deployed,
    killed_at,
    labels,
    processes_of,
    resumed,
)
from rig import Ran, met_by_users, until
from slow import SLOW, but_slow

from emulator.faults import Drop, Fault
from loopctl.platforms.cloud_run.names import is_own_tag
from loopctl.platforms.cloud_run.template import KEY

TESTS = (
    "entered preflight",
    "finished preflight",
    "entered build",
    "intent build web",
    "result build web",
    "content.proven web",
    "finished build",
    "entered deploy",
    "service.observed before web",
    "intent deploy web",
    "result deploy web",
    "revision.deployed web",
    "service.observed deployed web",
    "finished deploy",
    "entered health",
    "health.judged web",
    "finished health",
    "entered verify",
    "suite.started smoke",
    "intent suite smoke",
    "cases smoke",
    "result suite smoke",
    "suite.finished smoke",
    "chain.checked web",
    "finished verify",
)
GREEN = (
    *TESTS,
    "entered promote",
    "intent promote web",
    "result promote web",
    "traffic.routed web",
    "finished promote",
    "entered confirm",
    "logs.kept web",
    "intent verified web",
    "result verified web",
    "service.observed verified web",
    "finished confirm",
    "service.observed end web",
)
PUT_BACK = (
    "intent discard web",
    "result discard web",
    "service.observed settled web",
    "finished settle",
    "entered diagnose",
    "finished diagnose",
    "entered remediate",
    "finished remediate",
)
COLLECTED = ("entered collect", "logs.kept web", "finished collect", "entered settle")
RED = (*TESTS, *COLLECTED, *PUT_BACK)
IN_TRAFFIC = (
    "intent promote web",
    "result promote web",
    "traffic.routed web",
    "entered confirm",
    "cases smoke",
    *COLLECTED,
    "intent restore web",
    "result restore web",
    *PUT_BACK,
)


class CloudSite(Site):
    """A site whose services are on Cloud Run."""

    def __init__(self, cloud: CloudProject, prepare: Callable[[CloudProject], object]) -> None:
        self.cloud = cloud
        super().__init__(cloud.project, "web", lambda _: prepare(cloud))

    def killed(self, at: str, **how: object) -> Path:
        return killed_at(self.project, self.loop, at, prompt=True, **how)

    def deployed_once(self, folder: Path, _before: Mapping[str, int]) -> bool:
        """Each cycle has one revision, by what the API says was made for it."""
        names = {
            f"{folder.name}/{cycle}/{service}": made
            for (cycle, service), made in deployed(folder).items()
        }
        keys = Counter[str]()
        with self.cloud.emulator.state.changed:
            for name, revision in self.cloud.emulator.state.revisions.items():
                key, _, _ = revision.annotations.get(KEY, "").rpartition("/")
                if key.startswith(folder.name):
                    keys[key] += 1
                    assert name.rpartition("/")[2] in names[key]
        assert keys == dict.fromkeys(names, 1)
        return bool(names)

    def nothing_is_left(self, ran: Ran) -> None:
        """Traffic, tags, lease and template are as they have to be."""
        (left,) = ran.result["left"]
        (name,) = left["traffic"]
        until(lambda: not processes_of(ran.run.name))
        assert self.cloud.serves() == self.cloud.traffic() == [(name, 100, "")]
        assert not any(is_own_tag(tag) for _, _, tag in self.cloud.traffic())
        assert self.cloud.lease() is None
        assert self.cloud.verified()[0]["revision"] == name
        served = self.cloud.emulator.state.revision(name)
        assert served.containers[0].image == self.cloud.service().template.containers[0].image


def served(cloud: CloudProject) -> None:
    """A loop that will be green, the first time too."""
    cloud.loop()


def failing(cloud: CloudProject) -> None:
    cloud.green()
    cloud.loop(word="bad")


def failing_in_traffic(cloud: CloudProject) -> None:
    cloud.green()
    cloud.loop(word="bad", suite_keys={"phase": "confirm"})


def dying(cloud: CloudProject) -> None:
    cloud.green()
    cloud.loop(prelude="sys.exit(4)\n")


def site_of(
    prepare: Callable[[CloudProject], object],
) -> Callable[[pytest.TempPathFactory], Iterator[CloudSite]]:
    @pytest.fixture(scope="module")
    def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudSite]:
        with cloud_opened(tmp_path_factory.mktemp(prepare.__name__)) as cloud:
            yield CloudSite(cloud, prepare)

    return site


green = site_of(served)
red = site_of(failing)
taken_back = site_of(failing_in_traffic)
unhealthy = site_of(dying)


@pytest.mark.parametrize("at", but_slow(GREEN, ("intent deploy web",)))
def test_a_green_run_ends_as_if_it_had_never_been_killed(green: CloudSite, at: str) -> None:
    ran = green.goes_on_as_if_nothing_had_been(green.killed(at), {})
    new = ran.service("web")["revision"]
    assert met_by_users(ran.stable_url) == new
    assert green.cloud.serves() == [(new, 100, "")]
    assert [each["run"] for each in green.cloud.verified()].count(ran.run.name) == 1


@pytest.mark.parametrize("at", but_slow(RED, ()))
def test_a_red_run_ends_as_if_it_had_never_been_killed(red: CloudSite, at: str) -> None:
    serves, template = red.cloud.serves(), template_of(red.cloud)
    ran = red.goes_on_as_if_nothing_had_been(red.killed(at), {})
    assert ran.cases()
    assert red.cloud.serves() == serves
    assert template_of(red.cloud) == template


@pytest.mark.parametrize("at", but_slow(IN_TRAFFIC, ()))
def test_traffic_is_put_back_whatever_was_killed(taken_back: CloudSite, at: str) -> None:
    assert taken_back.undisturbed.code == 1, taken_back.told
    serves, template = taken_back.cloud.serves(), template_of(taken_back.cloud)
    taken_back.goes_on_as_if_nothing_had_been(taken_back.killed(at), {})
    assert taken_back.cloud.serves() == serves
    assert template_of(taken_back.cloud) == template


@pytest.mark.slow
@pytest.mark.parametrize(
    "at", [*TESTS[7 : TESTS.index("finished health") + 1], *COLLECTED, *PUT_BACK]
)
def test_an_unhealthy_run_ends_as_if_it_had_never_been_killed(
    unhealthy: CloudSite, at: str
) -> None:
    assert unhealthy.undisturbed.code == 5, unhealthy.told
    serves, template = unhealthy.cloud.serves(), template_of(unhealthy.cloud)
    unhealthy.goes_on_as_if_nothing_had_been(unhealthy.killed(at), {})
    assert unhealthy.cloud.serves() == serves
    assert template_of(unhealthy.cloud) == template


@pytest.mark.slow
@pytest.mark.parametrize("at", ["intent deploy web", "result deploy web", "entered promote"])
def test_the_first_run_ever_may_be_killed_too(tmp_path: Path, at: str) -> None:
    with cloud_opened(tmp_path) as cloud:
        cloud.loop()
        ran = resumed(cloud.project, killed_at(cloud.project, "web", at, prompt=True))
        assert ran.code == 0, str(ran)
        assert cloud.revisions() == [ran.service("web")["revision"]]
        cloud.before = ran
        Serving.of(cloud).holds()


@pytest.mark.parametrize("transport", ["grpc", pytest.param("rest", marks=SLOW)])
def test_a_deployment_whose_answer_never_came_is_found_and_not_made_twice(
    green: CloudSite, transport: str
) -> None:
    cloud = green.cloud
    cloud.transport = "rest" if transport == "rest" else "grpc"
    cloud.loop()
    made = len(cloud.revisions())
    cloud.emulator.faults.on("UpdateService", Fault())
    cloud.emulator.faults.on("UpdateService", Fault(Drop(), after=True))
    going = cloud.project.start("run", "web", "-q")
    assert cloud.emulator.state.wait_until(lambda: len(cloud.emulator.state.revisions) > made, 60)
    going.signal(signal.SIGKILL)
    folder = going.end().run
    assert labels(folder)[-1] in ("intent deploy web", "result deploy web")
    ran = resumed(cloud.project, folder)
    assert ran.code == 0, str(ran)
    assert len(cloud.revisions()) == made + 1
    cloud.before = ran
    cloud.transport = "grpc"
    Serving.of(cloud).holds()


@pytest.mark.slow
def test_a_killed_run_that_nobody_goes_on_with_keeps_nobody_out(green: CloudSite) -> None:
    """Its process is seen to be dead on this machine; elsewhere its lease would run out."""
    killed = green.killed("entered verify")
    assert (green.cloud.lease() or {})["run"] == killed.name
    ran = green.project.run("web")
    assert ran.code == 0, str(ran)
    green.nothing_is_left(ran)
