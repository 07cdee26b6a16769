"""What the plugin tells of a test beside its traffic: the hash of its code, and its samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from evidence_rig import Watched, watch

from loopctl.evidence.criteria import OWN_SERIES
from loopctl.model.evidence import Sample

CONFTEST = """
import pytest
from fixtures import elsewhere

@pytest.fixture
def used(): return 1
"""
FIXTURES = """
import pytest
@pytest.fixture
def elsewhere(): return 1
"""
TESTS = """
import pytest
def test_plain(): pass
def test_used(used): pass
def test_imported(elsewhere): pass
def test_installed(tmp_path): pass
@pytest.mark.parametrize("n", [1, 2])
def test_n(n): pass
"""


def codes(folder: Path, name: str, changed: Mapping[str, str]) -> dict[str, str | None]:
    """Each test's code after these files were changed, in a project of its own."""
    project = folder / name
    project.mkdir()
    files = {"conftest.py": CONFTEST, "fixtures.py": FIXTURES, **changed}
    for path, text in files.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text)
    tests = changed.get("test_zoo.py", TESTS)
    return {name: case.code for name, case in watch(project, tests, {}).cases().items()}


def test_a_tests_code_is_the_same_in_another_checkout_and_different_for_every_test(
    tmp_path: Path,
) -> None:
    first, second = codes(tmp_path, "a", {}), codes(tmp_path, "b", {})
    assert first == second
    assert len(set(first.values())) == len(first) == 6
    assert {len(code or "") for code in first.values()} == {64}


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ({"test_zoo.py": TESTS + "# another\n"}, 6),
        ({"conftest.py": CONFTEST + "# another\n"}, 6),
        # Whose module imports it is not told: it counts for all of them.
        ({"fixtures.py": FIXTURES + "# another\n"}, 6),
        ({"unrelated.py": "1"}, 0),
        ({"below/conftest.py": "1"}, 0),
    ],
)
def test_a_tests_code_changes_with_its_module_and_the_files_of_its_fixtures(
    tmp_path: Path, changed: Mapping[str, str], tests: int
) -> None:
    before, after = codes(tmp_path, "a", {}), codes(tmp_path, "b", changed)
    assert sum(before[name] != after[name] for name in before) == tests
    if tests == 1:
        assert before["test_imported"] != after["test_imported"]


def test_code_is_told_by_the_workers_of_xdist_too(tmp_path: Path) -> None:
    alone = codes(tmp_path, "a", {})
    (tmp_path / "b").mkdir()
    for path, text in (("conftest.py", CONFTEST), ("fixtures.py", FIXTURES)):
        (tmp_path / "b" / path).write_text(text)
    spread = watch(tmp_path / "b", TESTS, {}, "-p", "xdist", "-n", "1")
    assert {name: case.code for name, case in spread.cases().items()} == alone


def test_other_items_than_functions_have_a_code_as_well(tmp_path: Path) -> None:
    text = "def f():\n    '''\n    >>> 1\n    1\n    '''\n"
    seen = watch(tmp_path, text, {}, "--doctest-modules")
    assert [len(case.code or "") for case in seen.cases().values()] == [64]
    assert seen.of("plugin-error") == []


SAMPLES = """
import pytest
NAME = "loopctl.metric."
OWN = #OWN#

@pytest.fixture
def timed(record_property):
    record_property(NAME + "warm_up", "250ms")
    yield
    record_property(NAME + "cool_down", 2)

def test_all(timed, record_property, request):
    record_property(NAME + "cart.total", 0.25)
    record_property(NAME + "cart.total", 0.25)
    record_property("other", "left alone")
    request.node.user_properties.append((NAME + "slow", "1.5m"))

def test_none(): pass

@pytest.mark.parametrize("value", ["0.25", "fast", float("nan"), 10 ** 400, None, True, "1 s"])
def test_bad_value(record_property, value): record_property(NAME + "x", value)

@pytest.mark.parametrize("name", ["", "Cart", "a b", "1st", "a" * 81, "x\\x1b"] + OWN)
def test_bad_name(record_property, name): record_property(NAME + name, 1)

def test_many(record_property):
    for n in range(1200): record_property(NAME + "n", n)
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return watch(
        tmp_path_factory.mktemp("samples"), SAMPLES.replace("#OWN#", repr(sorted(OWN_SERIES))), {}
    )


def test_what_any_phase_records_is_a_sample_of_the_test_once(samples: Watched) -> None:
    cases = samples.cases()
    assert cases["test_all"].samples == (
        Sample("warm_up", 0.25),
        Sample("cart.total", 0.25),
        Sample("cart.total", 0.25),
        Sample("slow", 90.0),
        Sample("cool_down", 2.0),
    )
    assert cases["test_none"].samples == ()


def test_a_test_keeps_a_thousand_samples_and_says_that_there_were_more(samples: Watched) -> None:
    assert [each.value for each in samples.cases()["test_many"].samples] == list(range(1000))
    told = [line for line in samples.of("plugin-error") if "test_many" in line["where"]]
    assert "1000" in told[0]["message"]


def test_what_is_no_sample_is_named_and_does_not_fail_the_test(samples: Watched) -> None:
    assert samples.returncode == 0
    for name, case in samples.cases().items():
        if "bad" in name:
            assert case.samples == ()
    told = {line["where"]: line["message"] for line in samples.of("plugin-error")}
    assert told["sample of test_zoo.py::test_bad_value[0.25]"] == (
        "loopctl.metric.x is '0.25': no finite number, no duration such as 250ms"
    )
    assert sum("test_bad" in where for where in told) == 13 + len(OWN_SERIES)


def test_an_attempt_that_is_run_again_leaves_no_samples(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from _pytest.runner import runtestprotocol\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    hook = item.ihook\n"
        "    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)\n"
        "    for _ in range(2): runtestprotocol(item, nextitem=nextitem)\n"
        "    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)\n"
        "    return True\n"
    )
    text = "def test_x(record_property): record_property('loopctl.metric.n', 1)"
    assert watch(tmp_path, text, {}).cases()["test_x"].samples == (Sample("n", 1.0),)
