"""Services, secrets, paths, extended files: from a good file a plan, from a bad one its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopfile_project import MINIMAL, TODAY, only, place, plan_of, problems_of, project

from loopctl.errors import UsageError
from loopctl.loopfile.find import find_loop, project_root
from loopctl.loopfile.resolve import load
from loopctl.model.plan import RemediationMode, RemedyRule

PASSWORD = "hunter2hunter2"
IMAGE = f"registry.test/apps/a@sha256:{'ab' * 32}"


def with_run(run: str) -> str:
    return MINIMAL.replace("{command: [python, app.py]}", run)


def test_a_minimal_file_has_a_plan_for_local(tmp_path: Path) -> None:
    plan = plan_of(project(tmp_path))
    assert (plan.environment.name, plan.loop, plan.root) == ("local", "demo", tmp_path)
    assert plan.suites[0].cwd == tmp_path
    assert plan.suites[0].on_fail == "stop"


def test_numbers_in_env_keep_their_own_text_and_null_removes_one(tmp_path: Path) -> None:
    text = with_run("{command: [sleep, 1.50], env: {A: 1.50, B: 010, C: null, D: 8080}}")
    run = plan_of(project(tmp_path, text)).services[0].run
    assert run.env == {"A": "1.50", "B": "010", "C": None, "D": "8080"}
    assert run.command == ("sleep", "1.50")


def test_values_free_of_form_are_plain_numbers(tmp_path: Path) -> None:
    text = MINIMAL.replace(
        "source:", "health: {expect: {n: 5, f: [1.5]}, status: [200, 204]}\n    source:"
    )
    health = plan_of(project(tmp_path, text)).services[0].health
    assert health.expect is not None
    assert [type(value) for value in health.expect.values()] == [int, list]
    assert health.status == (200, 204)


@pytest.mark.parametrize(
    "text",
    [
        with_run(f"{{command: [a], secrets: {{T: {{value: {PASSWORD}, secret: {PASSWORD}}}}}}}"),
        with_run(f"{{command: [a], secrets: {{T: {PASSWORD}}}}}"),
        with_run(f"{{command: [a], secrets: {{T: {{value: {PASSWORD}, secert: b}}}}}}"),
        with_run(f"{{command: [a], secrets: [{PASSWORD}]}}"),
        with_run(f"{{command: [a], secrets: {{T: {{value: [{PASSWORD}]}}}}, port: none}}"),
        with_run(f"{{command: [a], secrets: {{T: {{value: {PASSWORD}: x}}}}}}"),
        with_run(f"{{command: [a], secrets: {{T: {{value: *{PASSWORD}}}}}}}"),
        with_run(f"\n      secrets:\n        T:\n          value: '{PASSWORD}\n"),
        with_run(f"\n      secrets:\n        T:\n          value: !{PASSWORD}!x y\n"),
        with_run(f"\n      command: [a]\n      secrets: &s\n        T: {{value: |\n{PASSWORD}}}\n"),
        f"x-s: &s {{T: {{value: {PASSWORD}, secret: 5}}}}\n"
        + with_run("{command: [a], secrets: *s}"),
    ],
)
def test_no_fault_quotes_a_secret(tmp_path: Path, text: str) -> None:
    found = problems_of(project(tmp_path, text))
    assert found
    for problem in found:
        assert PASSWORD not in str(problem)


def test_a_secret_reference_must_look_like_one(tmp_path: Path) -> None:
    text = with_run("{command: [a], secrets: {T: {value: x, secret: s3cr3tvalue}}}")
    found = only(problems_of(project(tmp_path, text)))
    assert "name:latest or name:7" in found.message
    assert "***" in (found.excerpt or "")
    assert "s3cr3tvalue" not in str(found)


def test_a_secret_without_a_value_is_refused_on_local(tmp_path: Path) -> None:
    text = with_run("{command: [a], secrets: {T: {secret: t:latest}}}")
    assert 'has no "value"' in only(problems_of(project(tmp_path, text))).message


def test_redaction_is_told_every_secret_value(tmp_path: Path) -> None:
    text = with_run('{command: [a], secrets: {T: {value: "${V:-dev-token}"}}}')
    text += "worklog: {redact: [LOGGED, UNSET, 're:abc+']}\n"
    text += "environments: {e: {platform: local, require_env: [WANTED, MISSING]}}\n"
    plan = plan_of(project(tmp_path, text), variables={"WANTED": "w1", "LOGGED": "l1"})
    assert plan.secrets is not None
    shown = {name: secret.reveal() for name, secret in plan.secrets.items()}
    assert shown == {"WANTED": "w1", "LOGGED": "l1", "chat.T": "dev-token"}
    assert plan.environment.require_env == ("WANTED", "MISSING")
    assert "dev-token" not in repr(plan)


def test_a_source_must_be_a_folder_with_files_inside_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").touch()
    path = project(root)
    (root / "link").symlink_to(outside)
    (root / "empty" / "deep").mkdir(parents=True)
    (root / "loop").symlink_to("loop")
    said = {
        "../link": "leads through a link",
        "../../outside": "is outside",
        "../empty": "has no files",
        "../app/app.py": "is not a folder",
        "../nope": "does not exist",
        "../loop": "",
        "'" + "x" * 300 + "'": "cannot be read",
    }
    for source, words in said.items():
        path.write_text(MINIMAL.replace("../app", source))
        found = only(problems_of(path))
        assert words in found.message
        assert place(found) == (5, 13)


@pytest.mark.parametrize(
    ("service", "said", "at"),
    [
        ("a: {}", "has no source, image or url", (4, 3)),
        ("a: {url: 'http://a.test', source: ../app}", "exclude each other", None),
        ("a: {url: 'http://a.test', run: {port: 1}}", "not deployed", (4, 29)),
        ("a: {url: 'ftp://a.test'}", "URL", (4, 12)),
        ("a: {source: ../app}", '"run.command" is missing', (4, 6)),
        ("a: {image: 'x:latest'}", "by digest", None),
        (f"a: {{image: '{IMAGE}', url: 'http://a.test'}}", "exclude each other", None),
        (f"a: {{image: '{IMAGE}'}}", "cannot be run on local", (4, 7)),
        (f"a: {{image: '{IMAGE}', source: ../app}}", "cannot be run on local", (4, 7)),
        ("a: {url: 'http://a.test', health: {path: x}}", "start with /", (4, 44)),
        ("a: {url: 'http://a.test', health: {status: [99]}}", "at least 100", (4, 47)),
        ("a: {url: 'http://a.test', needs: [a]}", "need each other", (4, 37)),
        ("a: {url: 'http://a.test', memory: 1Gi}", "unknown key", (4, 29)),
    ],
)
def test_a_service_that_cannot_be_is_refused(
    tmp_path: Path, service: str, said: str, at: tuple[int, int] | None
) -> None:
    text = f"version: 1\nname: demo\nservices:\n  {service}\nsuites: [{{id: s}}]\n"
    found = [p for p in problems_of(project(tmp_path, text)) if said in p.message]
    assert len(found) == 1
    assert at is None or place(found[0]) == at


@pytest.mark.parametrize("source", [None, "../app"])
def test_an_image_by_digest_is_had_where_containers_run(tmp_path: Path, source: str | None) -> None:
    given = f"image: '{IMAGE}'" + (f", source: {source}" if source else "")
    text = (
        f"version: 1\nname: demo\nenvironments: {{docker: {{platform: docker}}}}\n"
        f"services:\n  a: {{{given}}}\nsuites: [{{id: s}}]\n"
    )
    plan = plan_of(project(tmp_path, text))
    assert plan.later == ()
    assert plan.built == ()
    (spec,) = plan.deployed
    assert (spec.image, spec.source) == (IMAGE, tmp_path / "app" if source else None)


def test_a_long_ring_of_needs_is_found_at_once(tmp_path: Path) -> None:
    lines = [f"  s{n}: {{url: 'http://a.test', needs: [s{(n + 1) % 3000}]}}\n" for n in range(3000)]
    text = "version: 1\nname: demo\nservices:\n" + "".join(lines) + "suites: [{id: s}]\n"
    assert "need each other" in only(problems_of(project(tmp_path, text))).message


def test_healthz_is_refused_on_cloud_run_only(tmp_path: Path) -> None:
    text = MINIMAL.replace("source:", "health: {path: /healthz}\n    source:")
    text += (
        "environments:\n  l: {platform: local}\n  c: {platform: cloud-run, project: p, region: r}\n"
    )
    path = project(tmp_path, text)
    assert problems_of(path, "l") == ()
    assert place(only(problems_of(path, "c"))) == (5, 20)


@pytest.mark.parametrize(
    ("name", "strategy", "told"),
    [
        ("a" * 38, "candidate", None),
        ("a" * 39, "candidate", "together are too long: Cloud Run takes 46"),
        ("a" * 39, "direct", None),
        ("a" * 49, "direct", None),
    ],
)
def test_a_name_that_cloud_run_would_refuse_is_refused_here(
    tmp_path: Path, name: str, strategy: str, told: str | None
) -> None:
    keys = f"{{platform: cloud-run, project: p, region: r, strategy: {strategy}}}"
    text = f"{MINIMAL}environments:\n  l: {{platform: local}}\n  c: {keys}\n"
    path = project(tmp_path, text.replace("  chat:", f"  {name}:"))
    assert problems_of(path, "l") == ()
    found = problems_of(path, "c")
    if told is None:
        assert found == ()
    else:
        assert told in only(found).message
        assert place(only(found)) == (4, 3)


def test_an_environment_named_prod_is_protected(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL + "environments: {production: {platform: local}}\n")
    assert plan_of(path).environment.protected


def test_an_environment_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = project(tmp_path, MINIMAL + "environments: {staging: {platform: local}}\n")
    assert only(problems_of(path, "stagin")).hint == 'did you mean "staging"?'


def test_positions_of_extended_files_are_their_own(tmp_path: Path) -> None:
    path = project(tmp_path, "extends: ../shared/base.yaml\n" + MINIMAL)
    (tmp_path / "shared").mkdir()
    base = tmp_path / "shared" / "base.yaml"
    base.write_text("loop:\n  jobs: 0\nsignatures: [mine.yaml]\n")
    found = problems_of(path)
    assert [(p.where or "").rsplit("/", 1)[1] for p in found] == ["base.yaml:2:9", "base.yaml:3:14"]
    (tmp_path / "shared" / "mine.yaml").touch()
    base.write_text("signatures: [mine.yaml]\n")
    assert plan_of(path).signatures == (tmp_path / "shared" / "mine.yaml",)


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    path = project(tmp_path, "extends: [b.yaml]\n" + MINIMAL)
    (path.parent / "b.yaml").write_text("extends: [demo.yaml, gone.yaml]\n")
    messages = [problem.message for problem in problems_of(path)]
    assert "extends itself" in messages[0]
    assert "no file" in messages[1]


def test_a_file_extended_along_many_ways_is_read_once(tmp_path: Path) -> None:
    path = project(tmp_path, "extends: [b0.yaml, b0.yaml]\n" + MINIMAL)
    for n in range(12):
        below = f"extends: [b{n + 1}.yaml, b{n + 1}.yaml]\n" if n < 11 else "x-end: 1\n"
        (path.parent / f"b{n}.yaml").write_text(below)
    assert problems_of(path) == ()


def test_places_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project(tmp_path, MINIMAL + "bogus: 1\n")
    monkeypatch.chdir(tmp_path)
    assert only(problems_of(path)).where == "loops/demo.yaml:10:1"
    with pytest.raises(UsageError, match=r"loops/demo.yaml: 1 problem"):
        load(Path("loops/demo.yaml"), environment=None, variables={}, today=TODAY)


def test_a_loop_is_found_by_its_name_upwards(tmp_path: Path) -> None:
    path = project(tmp_path)
    below = tmp_path / "app"
    assert find_loop("demo", below) == path
    assert find_loop("../loops/demo.yaml", below) == path
    assert project_root(path) == tmp_path


def test_a_missing_loop_names_those_that_exist_nearest_first(tmp_path: Path) -> None:
    for name in ("alpha", "golden-path", "zeta"):
        project(tmp_path, MINIMAL, name)
    with pytest.raises(UsageError) as caught:
        find_loop("goldn-path", tmp_path)
    assert "nearest first: golden-path, " in (only(caught.value.problems).hint or "")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "../../nope.yaml", "\x1b[31m"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_loop(name, tmp_path)
    assert str(caught.value).replace("\n", "").isprintable()


def test_remedies_reach_the_plan_as_they_are_written(tmp_path: Path) -> None:
    path = project(
        tmp_path,
        MINIMAL
        + """\
remediate:
  mode: auto
  may_edit: [../docs/**]
  rules:
    - {when: {signature: deploy.stale-image, service: chat}, do: rebuild}
    - {when: {verdict: red}, do: run, command: [./fix.sh, 1], timeout: 5m, limit: 2}
""",
    )
    assert plan_of(path).later == ()
    remediation = plan_of(path).remediation
    assert (remediation.mode, remediation.may_edit) == (RemediationMode.AUTO, ("docs/**",))
    assert remediation.rules == (
        RemedyRule({"signature": "deploy.stale-image", "service": "chat"}, "rebuild"),
        RemedyRule({"verdict": "red"}, "run", ("./fix.sh", "1"), 300.0, 2),
    )


def test_a_glob_of_an_extended_file_is_relative_to_that_file(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text("remediate: {may_edit: [a/*.txt, sub/]}\n")
    path = project(tmp_path, MINIMAL + "extends: [../shared/base.yaml]\n")
    assert plan_of(path).remediation.may_edit == ("shared/a/*.txt", "shared/sub/")


def test_without_git_the_project_is_around_loops(tmp_path: Path) -> None:
    assert project_root(tmp_path / "p" / "loops" / "a.yaml") == tmp_path / "p"
