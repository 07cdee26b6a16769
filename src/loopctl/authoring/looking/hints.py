"""What other tools are told of a service: Knative, Kubernetes, fly, Kamal, Heroku; CI steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from loopctl.authoring.looking.facts import CloudRunDeploy, Fact, Place
from loopctl.authoring.looking.structured import (
    json_object,
    line_of,
    place_of,
    toml_table,
    within,
    yaml_documents,
)
from loopctl.authoring.looking.tree import Tree
from loopctl.loopfile.nodes import Node, Scalar, Table

Hint = Fact[tuple[str, str]]
_PATH: Final = re.compile(r"/[\w./~-]*")
_TESTS: Final = re.compile(
    r"\b(?:pytest|npm (?:run )?test|yarn test|pnpm test|go test|npx playwright|npx cypress"
    r"|tox|nox|make test)\b"
)
_CI: Final = (".github/workflows/", ".gitlab-ci.yml", ".circleci/", "azure-pipelines.yml")
_PER_FILE: Final = 3


def read_hints(tree: Tree) -> tuple[Hint, ...]:
    """`port` and `health` as deployment tools other than compose are told, each with its file.

    Behind the word stands the service's name, where the tool has one.
    """
    return (*_fly(tree), *_heroku(tree), *_kamal(tree), *_skaffold(tree), *_kubernetes(tree))


def _fly(tree: Tree) -> Iterator[Hint]:
    for path in tree.below(".", "fly.toml"):
        table = toml_table(tree, path)
        for part in ("http_service", "services"):
            value: Any = within(table, part)
            for each in value if isinstance(value, list) else (value,):
                port = within(each, "internal_port")
                if isinstance(port, int):
                    yield Fact(("port", str(port)), line_of(tree, path, "internal_port"))
                checks = [within(each, "checks"), within(each, "http_checks")]
                for check in (c for listed in checks if isinstance(listed, list) for c in listed):
                    yield from _health(within(check, "path"), line_of(tree, path, "path"))


def _heroku(tree: Tree) -> Iterator[Hint]:
    for path in tree.below(".", "app.json"):
        formation: Any = within(json_object(tree, path), "healthchecks", "web")
        for check in formation if isinstance(formation, list) else ():
            yield from _health(within(check, "path"), line_of(tree, path, '"path"'))


def _kamal(tree: Tree) -> Iterator[Hint]:
    for path in tree.below(".", "deploy.yml"):
        if not path.endswith("config/deploy.yml"):
            continue
        for document in yaml_documents(tree, path):
            for keys in (("proxy", "healthcheck", "path"), ("healthcheck", "path")):
                node = document.get(*keys)
                if node is not None:
                    yield from _health(document.text(*keys), place_of(path, node))
            for keys in (("proxy", "app_port"), ("healthcheck", "port")):
                node = document.get(*keys)
                if node is not None and (document.text(*keys) or "").isdigit():
                    yield Fact(("port", document.text(*keys) or ""), place_of(path, node))


def _skaffold(tree: Tree) -> Iterator[Hint]:
    for path in tree.below(".", "skaffold.yaml", "skaffold.yml"):
        for document in yaml_documents(tree, path):
            for each in document.items("portForward"):
                node = each.get("port") if isinstance(each, Table) else None
                if isinstance(each, Table) and isinstance(node, Scalar) and node.text.isdigit():
                    name = each.text("resourceName") or ""
                    yield Fact((f"port {name}".strip(), node.text), place_of(path, node))


def _kubernetes(tree: Tree) -> Iterator[Hint]:
    """Probes of Kubernetes manifests, those of skaffold and Helm's rendered ones too."""
    for path in list(tree.below(".", "*.yaml", "*.yml"))[:400]:
        if "httpGet" not in tree.text(path) or "{{" in tree.text(path):
            continue
        for document in yaml_documents(tree, path):
            name = document.text("metadata", "name") or ""
            for container in document.items("spec", "template", "spec", "containers"):
                for probe in ("readinessProbe", "startupProbe", "livenessProbe"):
                    node = (
                        container.get(probe, "httpGet", "path")
                        if isinstance(container, Table)
                        else None
                    )
                    if isinstance(node, Scalar):
                        place = place_of(path, node)
                        yield from _health(node.text, place, name)


def _health(path: object, place: Place, of: str = "") -> Iterator[Hint]:
    if isinstance(path, str) and _PATH.fullmatch(path):
        yield Fact((f"health {of}".strip(), path), place)


def read_knative(tree: Tree) -> tuple[CloudRunDeploy, ...]:
    """Cloud Run services as manifests, in the flags that gcloud has for the same."""
    found: list[CloudRunDeploy] = []
    for path in list(tree.below(".", "*.yaml", "*.yml"))[:400]:
        if "serving.knative.dev" in tree.text(path):
            found += [
                _service(path, document)
                for document in yaml_documents(tree, path)
                if (document.text("apiVersion") or "").startswith("serving.knative.dev")
            ]
    return tuple(found)


def _service(path: str, document: Table) -> CloudRunDeploy:
    template = document.table("spec", "template")
    spec = template.table("spec")
    container = next(
        (c for c in spec.items("containers") if isinstance(c, Table)), Table(spec.mark, {})
    )
    port = next((p for p in container.items("ports") if isinstance(p, Table)), Table(spec.mark, {}))
    named: Mapping[str, Node | None] = {
        "image": container.get("image"),
        "port": port.get("containerPort"),
        "memory": container.get("resources", "limits", "memory"),
        "cpu": container.get("resources", "limits", "cpu"),
        "concurrency": spec.get("containerConcurrency"),
        "timeout": spec.get("timeoutSeconds"),
        "service-account": spec.get("serviceAccountName"),
        "min-instances": template.get(
            "metadata", "annotations", "autoscaling.knative.dev/minScale"
        ),
        "max-instances": template.get(
            "metadata", "annotations", "autoscaling.knative.dev/maxScale"
        ),
        "health": container.get("startupProbe", "httpGet", "path")
        or container.get("livenessProbe", "httpGet", "path"),
    }
    flags = [
        Fact((name, node.text), place_of(path, node), how=name)
        for name, node in named.items()
        if isinstance(node, Scalar)
    ]
    flags += list(_variables(path, container))
    name = document.text("metadata", "name")
    place = Place(path, document.mark.line)
    # Who may call it stands elsewhere: neither flag is known.
    flags.append(Fact(("allow-unauthenticated", "unknown"), place))
    return CloudRunDeploy(name, place, tuple(flags), "a Knative service")


def _variables(path: str, container: Table) -> Iterator[Fact[tuple[str, str]]]:
    for each in container.items("env"):
        if not isinstance(each, Table):
            continue
        name, value = each.text("name"), each.text("value")
        secret = each.table("valueFrom", "secretKeyRef")
        if name and secret.text("name"):
            given = f"{name}={secret.text('name')}:{secret.text('key') or 'latest'}"
            yield Fact(("update-secrets", given), place_of(path, each), how="secretKeyRef")
        elif name and value is not None and "," not in value:
            yield Fact(("set-env-vars", f"{name}={value}"), place_of(path, each), how="env")


def read_ci(tree: Tree) -> tuple[Fact[str], ...]:
    """The lines of CI files that run tests, a few of each file."""
    found: list[Fact[str]] = []
    for path in tree.files:
        if not path.startswith(_CI) or not path.endswith((".yml", ".yaml")):
            continue
        here = [
            Fact(line.strip().removeprefix("- ").removeprefix("run:").strip(), Place(path, number))
            for number, line in enumerate(tree.lines(path), start=1)
            if _TESTS.search(line) and not re.match(r"\s*(?:#|-?\s*name:|-\s*uses:)", line)
        ]
        found += here[:_PER_FILE]
    return tuple(found[:12])
