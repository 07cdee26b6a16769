"""What `docker build --progress=plain` writes, read for its steps and its failure.

Each step has a number: `#7 [2/4] RUN make`, then `#7 0.153 output`, and at its end `#7 DONE 0.3s`,
`#7 CACHED` or `#7 ERROR: …`. The last lines say why a build failed. Where a step ends its output
without a new line, 20.10 puts the end of the step on the same one: `#7 0.153 part#7 DONE 0.3s`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loopctl.engine.build_failure import failure
from loopctl.engine.build_request import BuildFailedError, BuildStepEnded, OnOutput, OnStep
from loopctl.engine.build_steps import FOLDER, instruction, makes_content, place
from loopctl.inert import decode

_LINE: Final = re.compile(r"#(\d+) (.*)")
_DONE: Final = re.compile(r"(?:.*#(\d+) )?DONE (\d+(?:\.\d+)?)s\Z")
_ERROR: Final = re.compile(r"(?:.*#(\d+) )?ERROR: (.*)\Z")
_BYSTANDER: Final = ("context canceled", "CANCELED")
_LONGEST_LINE: Final = 64 * 1024


@dataclass(slots=True)
class _Step:
    number: int
    name: str
    error: str = ""
    told: bool = False


class CliProgress:
    """Tells of each step once, as it ends well. All that the command writes goes to `output`."""

    def __init__(self, on: OnStep, output: OnOutput) -> None:
        self._on = on
        self._output = output
        self._steps: dict[int, _Step] = {}
        # By stage the number of the first step that makes content.
        self._filled: dict[str, int] = {}
        # Cached steps come in any order: what they stand upon is known at the end.
        self._folders: list[_Step] = []
        self._rest = b""
        self._last = ""

    def heard_stdout(self, chunk: bytes) -> None:
        """20.10 writes the image's id there; it is read from a file instead."""

    def heard_stderr(self, chunk: bytes) -> None:
        """Take in more of the progress."""
        self._output(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = self._rest[:_LONGEST_LINE]
        for line in lines:
            self._line(decode(line.rstrip(b"\r")))

    def finish(self) -> None:
        """The command has ended."""
        if self._rest:
            self._line(decode(self._rest))
            self._rest = b""
        for step in self._folders:
            self._on(BuildStepEnded(step.name, 0.0, self._is_filled_below(step.name)))
        self._folders.clear()

    def failure(self) -> BuildFailedError:
        """The error for a command that ended with another exit code than 0."""
        for step in self._steps.values():
            if step.error and not step.error.startswith(_BYSTANDER):
                # The last line has the same, and sometimes one about the client's own.
                text = self._last if step.error in self._last else step.error
                return failure(text, step=step.name, mark=f"#{step.number} ")
        return failure(self._last)

    def _line(self, line: str) -> None:
        found = _LINE.match(line)
        if found is None:
            if line.strip() and not line.startswith(("View build details", "---", "See '")):
                self._last = line.strip()
            return
        number, text = int(found.group(1)), found.group(2)
        step = self._steps.setdefault(number, _Step(number, text))
        if (done := _DONE.match(text)) and done.group(1) in {None, str(number)}:
            self._ended(step, float(done.group(2)), cached=False)
        elif text == "CACHED":
            self._ended(step, 0.0, cached=True)
        elif (error := _ERROR.match(text)) and error.group(1) in {None, str(number)}:
            step.error = error.group(2)

    def _ended(self, step: _Step, seconds: float, *, cached: bool) -> None:
        if step.told:
            return
        step.told = True
        at = place(step.name)
        if at is not None and makes_content(step.name):
            self._filled[at[0]] = min(at[1], self._filled.get(at[0], at[1]))
        if cached and instruction(step.name) == FOLDER:
            self._folders.append(step)
        else:
            self._on(BuildStepEnded(step.name, seconds, cached and makes_content(step.name)))

    def _is_filled_below(self, folder: str) -> bool:
        """As `build_progress` has it, but for what an earlier stage made: that is not shown."""
        at = place(folder)
        return at is not None and self._filled.get(at[0], at[1]) < at[1]
