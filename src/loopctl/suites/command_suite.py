"""Suites of `kind: command`: a shell line that leaves JUnit XML where `{junit}` stands in it.

Nobody sees into the processes of a command, so a pass is `plausible` by itself: a child process
ran. A case proves more by telling the trace ids of its requests, or its measurements, in
properties of its own; which ones stands in `junit_properties`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loopctl.errors import Problem
from loopctl.model.evidence import Case, SuiteEnd
from loopctl.model.plan import SuiteSpec
from loopctl.model.references import Endpoint, mentioned
from loopctl.ports.suite import Suite, SuiteContext, SuiteError
from loopctl.private_folder import private_folder
from loopctl.process import Stop, capture
from loopctl.process.programs import missing_programs
from loopctl.redact import Redactor
from loopctl.suites.command_run import CommandRun
from loopctl.suites.junit.properties import traces_in
from loopctl.suites.records import records
from loopctl.suites.shell_line import JUNIT, SHELL, shell_line
from loopctl.suites.suite_environment import (
    absent_folder,
    contract_variables,
    traceparent,
    users_environment,
)

_PARSED_WITHIN_S = 10.0
_REPORT = "junit.xml"


class CommandSuite(Suite):
    """Runs command suites; safe to share by threads.

    `environ` is what the command's environment is made from, loopctl's own by default.
    """

    def __init__(self, redactor: Redactor, environ: Mapping[str, str] | None = None) -> None:
        self._redactor = redactor
        self._environ = dict(os.environ if environ is None else environ)

    def check(self, spec: SuiteSpec, stop: Stop) -> Sequence[Problem]:
        """Folder, `{junit}`, the shell, and whether it can parse the line."""
        where = f"suite {spec.id}"
        if (absent := absent_folder(spec)) is not None:
            return [absent]
        problems = []
        if JUNIT not in spec.run:
            hint = f"put {JUNIT} where the runner is told its report's path: --junitxml={JUNIT}"
            said = f"`run` does not say where the JUnit XML goes: there is no {JUNIT} in it"
            problems.append(Problem(said, where=where, hint=hint))
        shell = self._shell(spec)
        if shell is None:
            hint = "install a POSIX shell, or put its folder on PATH"
            return [*problems, Problem(f"there is no `{SHELL}` on PATH", where=where, hint=hint)]
        wrong = self._unparsable(spec, shell, stop)
        return [*problems, *([wrong] if wrong else self._missing(spec))]

    def collect(self, spec: SuiteSpec, context: SuiteContext, stop: Stop) -> None:
        """None: only the command knows what it would run."""
        return

    def run(
        self, spec: SuiteSpec, context: SuiteContext, on: Callable[[Case], None], stop: Stop
    ) -> SuiteEnd:
        """Run it; what it prints is kept, redacted, in the context's folder, small reports too.

        Cases come when the command has ended. With `context.only` the whole command is run again,
        and these cases are handed over, with whatever else has failed in it. Raises `SuiteError`.
        """
        shell = self._shell(spec)
        if shell is None:
            raise SuiteError(f"there is no `{SHELL}` on PATH", where=f"suite {spec.id}")
        with records(context.folder, self._redactor) as kept, private_folder() as private:
            report = private / _REPORT
            line = shell_line(spec.run, context.endpoints, str(report), f"run of suite {spec.id}")
            env = users_environment(self._environ) | contract_variables(spec, context)
            known = (traceparent(context.trace_seed), context.variables.get("TRACEPARENT", ""))
            command = CommandRun(
                argv=(shell, "-c", line),
                env=env,
                spec=spec,
                context=context,
                private=private,
                report=report,
                records=kept,
                redactor=self._redactor,
                foreign=traces_in(known),
            )
            return command.to_the_end(on, stop)

    def _shell(self, spec: SuiteSpec) -> str | None:
        env = users_environment(self._environ) | dict(spec.env or {})
        return shutil.which(SHELL, path=env.get("PATH", os.defpath))

    def _missing(self, spec: SuiteSpec) -> Sequence[Problem]:
        env = users_environment(self._environ) | dict(spec.env or {})
        return [
            Problem(
                f"{program!r} is not found on PATH; `run` wants it",
                where=f"suite {spec.id}",
                hint=f"install {program}, or put its folder on PATH",
            )
            for program in missing_programs(spec.run, env.get("PATH", os.defpath))
        ]

    def _unparsable(self, spec: SuiteSpec, shell: str, stop: Stop) -> Problem | None:
        """What the shell itself says of a line that it cannot parse; it runs nothing of it."""
        nowhere = {name: Endpoint.of("http://service.invalid") for name in mentioned(spec.run)}
        line = shell_line(spec.run, nowhere, str(Path("/") / _REPORT), f"run of suite {spec.id}")
        try:
            with stop.child(_PARSED_WITHIN_S) as limit:
                ended, _, err = capture(
                    [shell, "-n", "-c", line],
                    cwd=spec.cwd,
                    env=users_environment(self._environ),
                    stop=limit,
                )
        except (OSError, ValueError) as problem:
            said = str(problem)
        else:
            stop.remaining(0)
            if ended.code == 0:
                return None
            said = self._redactor.text(err.decode("utf-8", "replace")).strip()
        told = said.splitlines()[-1] if said else f"{SHELL} cannot parse it"
        return Problem(f"run: {told}", where=f"suite {spec.id}", hint="write it as a line for `sh`")
