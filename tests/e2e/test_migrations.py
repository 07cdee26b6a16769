"""No remedy goes back over a change of the schema by itself, nor where nobody knows of one."""

from __future__ import annotations

import pytest
from rig import Project, Ran, met_by_users
from services import suite, tiny_service
from word_loop import SAYS, WANTS_GOOD, ended, remedy, rule

MIGRATION = "web/migrations/0001.sql"


def loop(project: Project, word: str, schema: str | None, **suite_keys: str) -> None:
    """`web` says a word; its schema is what the migrations beside its source say."""
    spec = tiny_service(project, "web", SAYS)
    spec["health"]["stable_for"] = "0s"
    spec["migrations"] = ["migrations/*.sql"]
    project.write("web/word.txt", f"{word}\n")
    if schema is not None:
        project.write(MIGRATION, f"{schema}\n")
    project.loop(
        "web",
        services={"web": spec},
        suites=[suite(project, WANTS_GOOD, **suite_keys)],
        remediate={"mode": "auto", "rules": [rule("rollback")]},
    )
    project.commit()


def serve_unverified(project: Project, schema: str) -> str:
    loop(project, "bad", schema, phase="confirm")
    kept = project.run("web", "--keep", "--remediate", "off")
    assert kept.code == 1, str(kept)
    return str(kept.service("web")["revision"])


def green_with(project: Project, schema: str | None) -> Ran:
    loop(project, "good", schema)
    ran = project.run("web")
    assert ran.code == 0, str(ran)
    return ran


@pytest.mark.slow
def test_over_another_schema_it_is_proposed_and_over_the_same_it_is_done(project: Project) -> None:
    before = green_with(project, "create table a")
    good = before.service("web")["revision"]
    bad = serve_unverified(project, "create table b")
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert remedy(ran)["result"] == "proposed"
    assert f"are not those of {good}" in remedy(ran)["detail"]
    assert "NEXT: loopctl rollback web --env local" in ran.out
    assert met_by_users(before.stable_url) == bad
    serve_unverified(project, "create table a")
    again = project.run("web")
    assert ended(again) == (1, "rolled-back", 1), str(again)
    assert met_by_users(before.stable_url) == good
    assert remedy(again)["mended"] is True


@pytest.mark.slow
def test_where_no_file_is_a_migration_nothing_is_compared_and_that_is_told(
    project: Project,
) -> None:
    before = green_with(project, None)
    bad = serve_unverified(project, "create table a")
    ran = project.run("web")
    assert ended(ran) == (1, "needs-human", 1), str(ran)
    assert "are not known" in remedy(ran)["detail"]
    assert met_by_users(before.stable_url) == bad
