"""`python -m loopctl.cli.detached RUN`: a run that `run --detach` has begun; stdin is its errand.

What a person would see on a terminal goes to the files that its stdout and stderr are.
"""

from __future__ import annotations

import sys

from loopctl import api
from loopctl.cli import output, views
from loopctl.cli.entry import told
from loopctl.cli.settings import Settings
from loopctl.cli.signals import interruptibly
from loopctl.process import Stop


def main() -> int:
    """Run to the end; the exit code of the contract."""
    code = told(_run, as_json=False)
    output.flush()
    return code


def _run() -> None:
    errand = api.errand_of(sys.stdin.buffer.read())
    settings = Settings(color=False, verbose=errand.verbose, runs_dir=errand.runs_dir)
    plan = api.load(errand.loop, environment=errand.environment)

    def work(stop: Stop) -> api.RunResult:
        with views.watching(settings) as subscribers:
            return api.run(
                plan,
                errand.options,
                runs_dir=errand.runs_dir,
                run_id=errand.run_id,
                subscribers=subscribers,
                stop=stop,
            )

    raise SystemExit(views.ended(interruptibly(work), settings))


if __name__ == "__main__":
    sys.exit(main())
