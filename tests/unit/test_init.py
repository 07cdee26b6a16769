"""What `init` writes for repositories as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from init_rig import CONFTEST, FASTAPI, SHOP, document, made, plan, repository

from loopctl.authoring.init import initial
from loopctl.errors import UsageError
from loopctl.model.plan import SuiteKind


def test_a_fastapi_repository_is_started_built_and_tested_by_what_its_files_say(
    tmp_path: Path,
) -> None:
    initially = made(tmp_path, SHOP)
    assert initially.environments == ("local", "docker")
    service = plan(initially, "local").services[0]
    assert service.run.command is not None
    assert service.run.command[:2] == ("sh", "-c")
    started = "-m uvicorn shop.main:app --host 127.0.0.1 --port $PORT"
    assert service.run.command[2].endswith(started), "told its port, without four workers"
    assert service.build.steps[-1].endswith("pip install --quiet -r requirements.txt")
    assert [secret.name for secret in service.run.secrets] == ["SIGNING_KEY"]
    assert service.health.path == "/ready", "both are there, and /healthz is no path on Cloud Run"
    boxed = plan(initially, "docker").services[0]
    assert (boxed.run.command, boxed.run.port) == (None, 8000)


def test_tests_that_read_an_address_become_suites_with_that_address(tmp_path: Path) -> None:
    suites = plan(made(tmp_path, SHOP)).suites
    assert [(suite.id, suite.run) for suite in suites] == [("tests", "tests")]
    assert suites[0].env == {"BASE_URL": "${services.shop.url}/api/v1"}
    assert suites[0].collect_min == 3


def test_tests_with_priorities_become_a_suite_each(tmp_path: Path) -> None:
    def of(priority: str) -> str:
        return f"import pytest\npytestmark = pytest.mark.{priority}\ndef test_a(base): ...\n"

    files = {**SHOP, "tests/test_a.py": of("p0"), "tests/test_b.py": of("p1")}
    suites = plan(made(tmp_path, files)).suites
    assert [(s.priority.value, s.run, s.collect_min) for s in suites] == [
        ("P0", "tests -m p0", 1),
        ("P1", "tests -m p1", 1),
        ("P2", "tests -m 'not p0 and not p1'", 3),
    ]


def test_tests_in_the_applications_own_process_are_named_and_not_taken_up(tmp_path: Path) -> None:
    inside = "from fastapi.testclient import TestClient\nclient = TestClient(app)\n"
    files = {
        **SHOP,
        "tests/conftest.py": inside,
        "tests/test_orders.py": "def test_a(): ...\n",
    }
    initially = made(tmp_path, files)
    suite = plan(initially).suites[0]
    assert suite.kind is SuiteKind.HTTP
    assert "/ready" in initially.text
    assert "/openapi.json" in initially.text
    assert any("TestClient at tests/conftest.py:2" in said for said in initially.left_out)
    assert any("no test here meets" in gap for gap in initially.gaps)


def test_unit_tests_beside_end_to_end_tests_stay_out_of_the_suite(tmp_path: Path) -> None:
    files = dict(SHOP)
    del files["tests/conftest.py"], files["pytest.ini"], files["tests/test_orders.py"]
    files |= {
        "tests/unit/test_sums.py": "def test_a(): ...\n",
        "tests/e2e/conftest.py": CONFTEST,
        "tests/e2e/test_flow.py": "def test_b(base): ...\n",
    }
    suite = plan(made(tmp_path, files)).suites[0]
    assert suite.run == "tests/e2e"


COMPOSE = """\
services:
  web:
    build: ./web
    ports: ["3000:3000"]
    depends_on: [api]
    environment:
      API_URL: http://api:8000/v1
      NODE_ENV: production
  api:
    build:
      context: ./api
      dockerfile: docker/api.Dockerfile
    depends_on:
      redis: {condition: service_healthy}
    environment:
      - REDIS_URL=redis://redis:6379/0
      - DATABASE_URL=postgres://shop:hunter2@db:5432/shop
      - STRIPE_API_KEY=sk_live_abcdefghijklmnop
      - 'WELCOME=It''s ${WHO:-you}, "friend": {ok} $$5'
      - FEATURE=true
      - TOKEN_ISSUER
    healthcheck:
      test: ["CMD-SHELL", "curl -fsS http://localhost:8000/health/ready || exit 1"]
  redis:
    image: redis:7
    ports: ["6380:6379"]
  db: {image: "postgres:16"}
"""
TWO = {
    "compose.yaml": COMPOSE,
    "web/Dockerfile": "FROM node:22\nCOPY . .\nCMD node server.js\n",
    "web/server.js": "http.createServer().listen(process.env.PORT)\n",
    "web/package.json": '{"name": "web", "scripts": {"start": "node server.js"}}',
    "api/docker/api.Dockerfile": "FROM python:3.12\nCOPY . .\nEXPOSE 8000\nCMD python main.py\n",
    "api/main.py": "import os\nport = int(os.environ['PORT'])\n",
}


def test_a_compose_file_gives_services_their_needs_addresses_and_health(tmp_path: Path) -> None:
    initially = made(tmp_path, TWO)
    services = {service.name: service for service in plan(initially, "docker").services}
    assert services["web"].needs == ("api",)
    web, api = services["web"].run.env, services["api"].run.env
    assert web is not None
    assert api is not None
    assert web["API_URL"] == "${services.api.url}/v1"
    assert services["api"].health.path == "/health/ready"
    assert services["api"].build.dockerfile == "docker/api.Dockerfile"
    assert api["WELCOME"] == 'It\'s you, "friend": {ok} $5'
    assert api["FEATURE"] == "true"


def test_what_compose_only_pulls_is_met_where_this_machine_publishes_it(tmp_path: Path) -> None:
    initially = made(tmp_path, TWO)
    urls = []
    for name in initially.environments:
        api = next(each for each in plan(initially, name).services if each.name == "api")
        urls += [(api.run.env or {})["REDIS_URL"]]
    assert urls == ["redis://127.0.0.1:6380/0", "redis://host.docker.internal:6380/0"]
    assert any(said.startswith("redis (compose.yaml:") for said in initially.left_out)


def test_no_secret_of_the_repository_is_copied_anywhere(tmp_path: Path) -> None:
    initially = made(tmp_path, TWO)
    shown = f"{initially.text}{initially.document()}"
    assert "hunter2" not in shown
    assert "sk_live" not in shown
    api = next(s for s in plan(initially, "local").services if s.name == "api")
    assert {secret.name for secret in api.run.secrets} == {"DATABASE_URL", "STRIPE_API_KEY"}


def test_a_node_repository_without_docker_is_started_by_its_own_script(tmp_path: Path) -> None:
    files = {
        "package.json": '{"name": "@acme/shop", "scripts": {"start": "node src/index.js"},'
        ' "dependencies": {"express": "5"}, "devDependencies": {"@playwright/test": "1"}}',
        "package-lock.json": "{}",
        "src/index.js": "app.get('/ping', pong); app.listen(process.env.PORT || 3000)\n",
        "playwright.config.ts": "export default {use: {baseURL: process.env.BASE_URL}}\n",
        "tests/home.spec.ts": "test('home', async () => {})\n",
    }
    made_plan = plan(made(tmp_path, files))
    service, suite = made_plan.services[0], made_plan.suites[0]
    assert service.run.command == ("node", "src/index.js")
    assert service.build.steps == ("npm ci --omit=dev",)
    assert service.health.path == "/ping"
    assert (suite.kind, suite.env) == (SuiteKind.COMMAND, {"BASE_URL": "${services.shop.url}"})
    assert "{junit}" in suite.run


def test_each_folder_of_a_monorepo_is_a_service_and_has_its_own_tests(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for name, variable in (("orders", "ORDERS_URL"), ("users", "USERS_URL")):
        files |= {
            f"services/{name}/Dockerfile": "FROM python:3.12\nCOPY . .\nEXPOSE 80\n",
            f"services/{name}/app.py": FASTAPI,
            f"services/{name}/requirements.txt": "fastapi\n",
            f"services/{name}/tests/test_it.py": f"import os\nB = os.environ['{variable}']\n"
            "def test_a(): ...\n",
        }
    files["services/mail/Dockerfile"] = "FROM golang\nCOPY . .\n"
    files["services/mail/main.go"] = "package main\nfunc main() { s := grpc.NewServer() }\n"
    initially = made(tmp_path, files)
    assert initially.services == ("orders", "users")
    assert any("mail" in said and "gRPC" in said for said in initially.left_out)
    for suite, name in zip(plan(initially).suites, ("orders", "users"), strict=True):
        assert suite.evidence.target == (name,)
        assert suite.env == {f"{name.upper()}_URL": f"${{services.{name}.url}}"}
        assert suite.protects == name


def test_services_that_are_built_from_the_root_are_told_apart_by_their_dockerfiles(
    tmp_path: Path,
) -> None:
    files, compose = dict[str, str](), "services:\n"
    for name in ("orders", "users"):
        at = f"services/{name}/Dockerfile"
        files[at] = f"FROM python:3.12\nCOPY services/{name} .\nEXPOSE 80\n"
        files[f"services/{name}/app.py"] = FASTAPI.replace("/ready", f"/{name}/ready")
        compose += f"  {name}: {{build: {{context: ., dockerfile: {at}}}}}\n"
    initially = made(tmp_path, {**files, "compose.yaml": compose})
    assert [s.health.path for s in plan(initially).services] == ["/orders/ready", "/users/ready"]


def test_nothing_to_deploy_gives_a_template_that_validates_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    initially = made(tmp_path, {"README.md": "hello\n"})
    assert plan(initially).gated[0].url == "http://127.0.0.1:8080"
    assert any("nothing here says what is deployed" in gap for gap in initially.gaps)


def test_tests_alone_are_taken_up_against_a_service_that_runs_already(tmp_path: Path) -> None:
    files = {"e2e/conftest.py": CONFTEST, "e2e/test_a.py": "def test_a(base): ...\n"}
    initially = made(tmp_path, files)
    assert plan(initially).suites[0].env == {"BASE_URL": "${services.app.url}/api/v1"}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        initial(tmp_path)


def test_the_same_repository_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    first, second = (
        initial(repository(tmp_path / where / "shop", {**SHOP, **TWO})) for where in "ab"
    )
    assert first.text == second.text


def test_every_fact_has_its_file_and_line(tmp_path: Path) -> None:
    found = made(tmp_path, SHOP).document()["found"]
    assert found["images"][0]["ports"][0] == {
        "value": 8000,
        "at": "Dockerfile:5",
        "certainty": "found",
        "how": "EXPOSE",
    }


def test_what_loopctl_brings_itself_needs_no_step(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "httpx>=0.28\n",
        "svc/__main__.py": "import os\nimport httpx\nserve(os.environ['PORT'])\n",
    }
    service = plan(made(tmp_path, files)).services[0]
    assert (service.run.command, service.build.steps) == (("python", "-m", "svc"), ())


def test_the_interpreter_of_the_tests_is_the_projects_own_where_there_is_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop" / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "shop" / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    document_of = document(made(tmp_path, SHOP))
    assert document_of["suites"][0]["python"] == ".venv/bin/python"


@pytest.mark.parametrize(
    ("file", "text", "health", "port"),
    [
        (
            "fly.toml",
            "[http_service]\ninternal_port = 9000\n[[http_service.checks]]\npath = '/up'\n",
            "/up",
            9000,
        ),
        ("app.json", '{"healthchecks": {"web": [{"path": "/alive"}]}}', "/alive", None),
        (
            "config/deploy.yml",
            "service: shop\nproxy: {app_port: 9001, healthcheck: {path: /up}}\n",
            "/up",
            9001,
        ),
        (
            "k8s/shop.yaml",
            "kind: Deployment\nmetadata: {name: shop}\nspec: {template: {spec: {containers: "
            "[{readinessProbe: {httpGet: {path: /here}}}]}}}\n",
            "/here",
            None,
        ),
        (
            "skaffold.yaml",
            "portForward:\n- {resourceType: service, resourceName: shop, port: 9002}\n",
            "/",
            9002,
        ),
    ],
)
def test_what_other_tools_are_told_is_taken_where_nothing_nearer_says_it(
    file: str, text: str, health: str, port: int | None, tmp_path: Path
) -> None:
    files = {"Dockerfile": 'FROM x\nCOPY . .\nCMD ["./serve"]\n', file: text}
    service = plan(made(tmp_path, files)).services[0]
    assert (service.health.path, service.run.port) == (health, port)
