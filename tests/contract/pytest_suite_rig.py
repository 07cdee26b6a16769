"""Folders of generated tests, run by the adapter against a real HTTP server on this machine."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loopctl.model.evidence import Case, CaseStatus, Grade, SuiteEnd
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteContext
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.pytest_suite import PytestSuite

SECRET = "s3cr3t-of-the-service-77"


@dataclass
class Project:
    """A folder of generated tests, and what came of running them."""

    root: Path
    url: str
    cases: list[Case] = field(default_factory=list)
    # Plugins that happen to be installed here would cost each of these runs a second.
    environ: dict[str, str] = field(
        default_factory=lambda: {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    redactor: Redactor = field(default_factory=lambda: Redactor({"TOKEN": SECRET}))

    @property
    def suite(self) -> PytestSuite:
        return PytestSuite(self.redactor, self.environ)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    @property
    def spec(self) -> SuiteSpec:
        return SuiteSpec(
            id="p1",
            title="p1",
            priority=Priority.P1,
            phase=SuitePhase.VERIFY,
            kind=SuiteKind.PYTEST,
            run="-p no:cacheprovider tests",
            cwd=self.root,
            python=sys.executable,
            env={"BASE_URL": "${services.chat.url}"},
            evidence=EvidenceSpec(Grade.OBSERVED, ("chat",)),
        )

    @property
    def context(self) -> SuiteContext:
        return SuiteContext(
            endpoints={"chat": Endpoint.of(self.url)},
            variables={"LOOPCTL_RUN_ID": "20260101-000000-x-0000", "LOOPCTL_ENV": "local"},
            folder=self.root.parent / "kept",
            trace_seed="ab" * 16,
            health_paths=("/health",),
        )

    def run(self, spec: SuiteSpec | None = None, stop: Stop | None = None) -> SuiteEnd:
        self.cases.clear()
        limit = stop or Stop(60)
        return self.suite.run(spec or self.spec, self.context, self.cases.append, limit)

    def case(self, name: str) -> Case:
        return next(case for case in self.cases if case.id.endswith(f"::{name}"))

    def statuses(self) -> dict[str, CaseStatus]:
        return {case.id.rpartition("::")[2]: case.status for case in self.cases}

    def kept(self) -> str:
        folder = self.context.folder
        return "".join(path.read_text(errors="replace") for path in sorted(folder.iterdir()))

    @staticmethod
    def at(folder: Path, url: str) -> Project:
        """An empty project in a new folder."""
        root = folder.resolve() / "project"
        root.mkdir()
        (root / "pytest.ini").write_text("[pytest]\n")
        return Project(root, url)


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        threading.Event().wait(0.01)
