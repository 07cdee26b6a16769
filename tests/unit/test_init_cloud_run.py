"""What `init` makes of deployments to Cloud Run that workflows, scripts and manifests describe."""

from __future__ import annotations

from pathlib import Path

from init_rig import SHOP, document, made, plan, repository

from loopctl.authoring.looking.gcloud import read_deploys
from loopctl.authoring.looking.tree import Tree

WORKFLOW = """\
name: deploy
on: push
env:
  REGION: europe-west1
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - run: pytest -q tests
      - run: |
          gcloud run deploy shop-api \\
            --image "$REGION-docker.pkg.dev/${{ secrets.PROJECT }}/apps/shop:${{ github.sha }}" \\
            --region ${{ env.REGION }} --memory=512Mi --cpu 2 --timeout=300 \\
            --min-instances 0 --max-instances=7 --concurrency 80 \\
            --set-env-vars "LOG_FORMAT=json,REDIS_HOST=10.0.0.3,GREETING=$GREETING" \\
            --update-secrets=SIGNING_KEY=shop-signing:3,/etc/cert=cert:latest \\
            --vpc-connector projects/p/locations/r/connectors/c --no-traffic
"""
FILES = {**SHOP, ".github/workflows/deploy.yml": WORKFLOW}


def test_the_flags_of_a_deployment_become_the_environment_staging(tmp_path: Path) -> None:
    initially = made(tmp_path, FILES)
    assert initially.environments == ("local", "docker", "staging")
    there = plan(initially, "staging")
    service, place = there.services[0], there.environment.cloud_run
    assert place is not None
    assert (place.project, place.region) == ("a-project", "europe-west1")
    assert place.repository == "europe-west1-docker.pkg.dev/a-project/apps"
    assert service.name == "shop-api"
    assert (service.run.memory, service.run.cpu) == (512 * 1024**2, "2")
    assert (service.run.max_instances, service.run.concurrency) == (7, 80)
    assert service.run.timeout_s == 300
    assert service.auth.kind == "id_token", "nothing says that it is open to all"
    assert service.run.env == {"LOG_FORMAT": "json", "REDIS_HOST": "10.0.0.3"}
    secrets = {secret.name: secret.reference for secret in service.run.secrets}
    assert secrets == {"SIGNING_KEY": "shop-signing:3"}


def test_what_a_developer_is_told_never_reaches_a_service_on_cloud_run(tmp_path: Path) -> None:
    compose = "services:\n  shop:\n    build: .\n    ports: ['8000:8000']\n"
    compose += "    environment: {DEBUG_LEVEL: '3', REDIS_URL: 'redis://redis:6379'}\n"
    compose += "  redis: {image: redis}\n"
    initially = made(tmp_path, {**FILES, "compose.yaml": compose})
    staged, boxed = (plan(initially, name).services[0] for name in ("staging", "docker"))
    assert "DEBUG_LEVEL" not in (staged.run.env or {})
    assert boxed.run.env is not None
    assert staged.run.port is None
    assert boxed.run.env["REDIS_URL"] == "redis://host.docker.internal:6379"
    assert boxed.run.port == 8000


def test_what_is_not_written_is_said_with_its_place(tmp_path: Path) -> None:
    text = " ".join(made(tmp_path, FILES).text.replace("#", " ").split())
    for said in (
        "Not written: --vpc-connector (.github/workflows/deploy.yml:17): it stays as it is",
        "Not written: GREETING of .github/workflows/deploy.yml:15",
        "Not written: a secret of .github/workflows/deploy.yml:16, --update-secrets is no variable",
    ):
        assert said in text


def test_cloud_run_refuses_exactly_healthz_so_another_path_is_given_there(tmp_path: Path) -> None:
    code = SHOP["shop/main.py"].replace("/ready", "/items")
    initially = made(tmp_path, {**FILES, "shop/main.py": code})
    paths = [plan(initially, name).services[0].health.path for name in ("local", "staging")]
    assert paths == ["/healthz", "/"]
    assert "exactly /healthz never reaches a container" in initially.text


def test_the_action_and_a_step_of_cloud_build_and_a_makefile_are_read_alike(
    tmp_path: Path,
) -> None:
    root = repository(
        tmp_path,
        {
            ".github/workflows/a.yml": "jobs:\n  a:\n    steps:\n"
            "      - uses: google-github-actions/deploy-cloudrun@v2\n        with:\n"
            "          service: one\n          region: us-east1\n"
            "          flags: --allow-unauthenticated --memory=1Gi\n",
            "cloudbuild.yaml": "steps:\n- name: gcr.io/cloud-builders/gcloud\n"
            "  args: ['run', 'deploy', 'two', '--region', '$_REGION', '--memory=1Gi']\n"
            "substitutions:\n  _REGION: us-east1\n",
            "Makefile": "REGION := us-east1\ndeploy:\n"
            "\tgcloud beta run deploy three --memory 1Gi --region $(REGION) --quiet && echo done\n",
        },
    )
    found = read_deploys(Tree(root))
    assert {deploy.service for deploy in found} == {"one", "two", "three"}
    for deploy in found:
        region, memory = deploy.flag("region"), deploy.flag("memory")
        assert region is not None
        assert memory is not None
        assert (region.value, memory.value) == ("us-east1", "1Gi")


def test_a_knative_service_says_the_same_in_its_own_words(tmp_path: Path) -> None:
    manifest = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: shop}
spec:
  template:
    metadata: {annotations: {autoscaling.knative.dev/maxScale: "4"}}
    spec:
      containerConcurrency: 20
      containers:
      - image: gcr.io/p/shop
        ports: [{containerPort: 9000}]
        startupProbe: {httpGet: {path: /started}}
        env:
        - {name: MODE, value: fast}
        - name: SIGNING_KEY
          valueFrom: {secretKeyRef: {name: signing, key: latest}}
"""
    initially = made(tmp_path, {**SHOP, "deploy/service.yaml": manifest})
    run = plan(initially, "staging").services[0].run
    assert (run.port, run.max_instances, run.concurrency) == (9000, 4, 20)
    assert run.env == {"MODE": "fast"}
    assert document(initially)["services"]["shop"]["health"]["path"] == "/started"
