"""Every FAULT of the example on Cloud Run: known by its proof, and users keep what they had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from rig import REPOSITORY, Ran, met_by_users
from slow import but_slow
from staging_project import Staging, staging_opened
from test_faults import FAULTS, Expected, assert_explained


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Staging, Ran]]:
    """The example, served by a verified revision."""
    with staging_opened(tmp_path_factory.mktemp("staging")) as staging:
        with_suite(staging, "tests/test_auth.py", "200ms")
        green = staging.run(staging.env("candidate", "grpc"))
        assert green.code == 0, str(green)
        yield staging, green


def with_suite(staging: Staging, run: str, stable_for: str) -> None:
    """Of the loop's suites leave one, and watch a healthy service so long."""
    loop = yaml.safe_load((REPOSITORY / "loops" / "golden-path.yaml").read_text())
    loop["suites"] = [each for each in loop["suites"] if each.get("run") == run]
    loop["criteria"] = []
    loop["services"]["chat"]["health"]["stable_for"] = stable_for
    staging.project.loop_file("golden-path", yaml.safe_dump(loop))
    staging.project.commit()


@pytest.mark.parametrize("expected", but_slow(FAULTS, (), lambda e: e.fault))
def test_a_fault_on_cloud_run_is_explained_by_its_proof_and_users_keep_what_they_had(
    up: tuple[Staging, Ran], expected: Expected
) -> None:
    staging, green = up
    good = green.service("chat")["revision"]
    with_suite(staging, expected.suite, expected.stable_for)
    ran = staging.run(staging.env("candidate", "grpc"), FAULT=expected.fault)
    assert ran.code == expected.code, str(ran)
    assert ran.stage(expected.stage)["outcome"] == "failed", str(ran)
    assert_explained(ran, expected)
    assert met_by_users(green.stable_url) == good
    assert staging.serves() == [(good, 100, "")]
    assert f"chat: {good} 100 %" in ran.first_line
    assert "not changed by this run" in ran.first_line
