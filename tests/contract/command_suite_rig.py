"""Folders of files and a shell line over them, run by the adapter as a command suite."""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from pytest_suite_rig import SECRET

from loopctl.model.evidence import Case, Grade, SuiteEnd
from loopctl.model.plan import EvidenceSpec, Priority, SuiteKind, SuitePhase, SuiteSpec
from loopctl.model.references import Endpoint
from loopctl.ports.suite import SuiteContext
from loopctl.process import Stop
from loopctl.redact import Redactor
from loopctl.suites.command_suite import CommandSuite

PYTHON = sys.executable
SEED = "ab" * 16


@dataclass
class Commanded:
    """A folder, and what came of running a command in it. `url` is where `chat` is."""

    root: Path
    url: str = "http://127.0.0.1:1"
    cases: list[Case] = field(default_factory=list)
    environ: dict[str, str] = field(
        default_factory=lambda: {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )

    @property
    def suite(self) -> CommandSuite:
        return CommandSuite(Redactor({"TOKEN": SECRET}), self.environ)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def spec(self, run: str, seconds: float = 60.0) -> SuiteSpec:
        return SuiteSpec(
            id="ui",
            title="ui",
            priority=Priority.P1,
            phase=SuitePhase.VERIFY,
            kind=SuiteKind.COMMAND,
            run=run,
            cwd=self.root,
            env={"BASE_URL": "${services.chat.url}"},
            suite_timeout_s=seconds,
            evidence=EvidenceSpec(Grade.OBSERVED, ("chat",)),
        )

    def context(self, only: tuple[str, ...] | None = None) -> SuiteContext:
        return SuiteContext(
            endpoints={"chat": Endpoint.of(self.url)},
            variables={"LOOPCTL_RUN_ID": "20260101-000000-x-0000", "LOOPCTL_ENV": "local"},
            folder=self.root.parent / "kept",
            trace_seed=SEED,
            only=only,
        )

    def run(
        self,
        run: str,
        *,
        seconds: float = 60.0,
        only: tuple[str, ...] | None = None,
        stop: Stop | None = None,
    ) -> SuiteEnd:
        self.cases.clear()
        limit = stop or Stop(90)
        return self.suite.run(self.spec(run, seconds), self.context(only), self.cases.append, limit)

    def statuses(self) -> dict[str, str]:
        return {case.id: str(case.status) for case in self.cases}

    def case(self, name: str) -> Case:
        return next(case for case in self.cases if case.id == name)

    def kept(self) -> str:
        folder = self.context().folder
        return "".join(path.read_text(errors="replace") for path in sorted(folder.iterdir()))

    @staticmethod
    def at(folder: Path, url: str = "http://127.0.0.1:1") -> Commanded:
        """An empty project in a new folder."""
        root = folder.resolve() / "project"
        root.mkdir()
        (root / "pytest.ini").write_text("[pytest]\n")
        return Commanded(root, url)


def report(*cases: str, **attributes: object) -> str:
    """A report of cases, each its name or `NAME:ELEMENT`."""
    told = (case.partition(":") for case in cases)
    body = "".join(
        f'<testcase name="{name}">{f"<{element}/>" if element else ""}</testcase>'
        for name, _, element in told
    )
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<testsuite{said}>{body}</testsuite>"
