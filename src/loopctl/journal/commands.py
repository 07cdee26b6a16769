"""The commands of loopctl's own that a person is told to type, on every screen and in every hint.

Pure. Each can be typed as it stands, wherever in the project: quoted for a shell and inert, with
the runs folder where loopctl would not look there by itself, and with the confirmation that a
protected environment asks for.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from loopctl.inert import for_terminal, one_line
from loopctl.model.events import RunStarted
from loopctl.model.plan import Plan

DEFAULT_RUNS_DIR = ".loopctl"
_NAME, _RUN_ID, _SERVICE = 120, 120, 63


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands for one loop on one environment.

    `loop_file` is below `root` where it is relative. `runs_dir` is None for `.loopctl` in the
    project's root. `create`: the environment may be given services that it does not have yet.
    """

    loop_file: Path
    root: Path
    environment: str
    protected: bool = False
    runs_dir: Path | None = None
    create: bool = False

    @staticmethod
    def of_run(run: RunStarted, runs_dir: Path | None = None) -> Commands:
        """As the run was begun."""
        return Commands(
            Path(run.loop_file),
            Path(run.root),
            run.environment,
            run.protected,
            runs_dir,
            create=bool(run.options.get("create")),
        )

    @staticmethod
    def of_plan(plan: Plan, runs_dir: Path | None = None, *, create: bool = False) -> Commands:
        """For a loop that is about to be run or operated."""
        environment = plan.environment
        return Commands(
            plan.path, plan.root, environment.name, environment.protected, runs_dir, create
        )

    def run(self) -> str:
        """Run the loop, the whole of it."""
        return f"{self._loopctl} {self._run}"

    def run_anew(self) -> str:
        """Run it where a service may not be there, which a protected environment has to be told."""
        return replace(self, create=True).run()

    def is_run(self, command: str) -> bool:
        """Whether a command is `run`, whichever runs folder it names."""
        return command.startswith("loopctl ") and command.endswith(f" {self._run}")

    def plan(self) -> str:
        """What `run` would do, and who serves now."""
        return f"{self._loopctl} plan {self._loop} --env {self._environment}"

    def triage(self) -> str:
        """Look at the environment, and change nothing."""
        return f"{self._loopctl} triage {self._loop} --env {self._environment}"

    def doctor(self) -> str:
        """What keeps this machine from the environment."""
        return f"{self._loopctl} doctor {self._loop} --env {self._environment}"

    def rollback(self) -> str:
        """All traffic to the last verified revisions."""
        return f"{self._loopctl} rollback {self._where}"

    def down(self) -> str:
        """Stop the environment's services."""
        return f"{self._loopctl} down {self._where}"

    def unlock(self) -> str:
        """Take the environment's lease from whoever holds it; one that is alive wants a name."""
        return f"{self._loopctl} unlock {self._loop} --env {self._environment}{self._named}"

    def resume(self, run_id: str) -> str:
        """Go on with a run."""
        return f"{self._loopctl} resume {_word(run_id, _RUN_ID)}{self._confirm}"

    def watch(self, run_id: str) -> str:
        """Attach to a run that goes on."""
        return f"{self._loopctl} watch {_word(run_id, _RUN_ID)}"

    def stop(self, run_id: str) -> str:
        """Stop a run that goes on in another process."""
        return f"{self._loopctl} stop {_word(run_id, _RUN_ID)}"

    def report(self, run_id: str) -> str:
        """The worklog of a run."""
        return f"{self._loopctl} report {_word(run_id, _RUN_ID)}"

    def logs(self, run_id: str, service: str) -> str:
        """What a service said in a run."""
        return f"{self._loopctl} logs {_word(run_id, _RUN_ID)} {_word(service, _SERVICE)}"

    @property
    def _loopctl(self) -> str:
        own = (Path(DEFAULT_RUNS_DIR), self.root / DEFAULT_RUNS_DIR)
        if self.runs_dir is None or self.runs_dir in own:
            return "loopctl"
        return f"loopctl --runs-dir {path_word(self.runs_dir)}"

    @property
    def _run(self) -> str:
        create = " --create" if self.create and self.protected else ""
        return f"run {self._where}{create}"

    @property
    def _where(self) -> str:
        return f"{self._loop} --env {self._environment}{self._confirm}"

    @property
    def _loop(self) -> str:
        """Its name where loopctl finds it by that from the project's root, else its file."""
        file = self.root / self.loop_file
        by_name = file == self.root / "loops" / f"{file.stem}.yaml"
        return _word(file.stem, _NAME) if by_name else path_word(file)

    @property
    def _environment(self) -> str:
        return _word(self.environment, _NAME)

    @property
    def _confirm(self) -> str:
        return self._named if self.protected else ""

    @property
    def _named(self) -> str:
        return f" --confirm {self._environment}"


def runs(runs_dir: Path) -> str:
    """List the runs of a folder; it is named where it has another name than a project gives it."""
    named = "" if runs_dir.name == DEFAULT_RUNS_DIR else f" --runs-dir {path_word(runs_dir)}"
    return f"loopctl{named} runs"


def path_word(path: Path) -> str:
    """A path as one word of a shell's command line, inert."""
    return shlex.quote(for_terminal(str(path)))


def _word(text: str, limit: int) -> str:
    return shlex.quote(one_line(text, limit))
