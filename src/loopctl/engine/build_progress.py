"""A fold of BuildKit's trace: steps as they end, and the text that the docker command shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from loopctl.engine.build_failure import failure
from loopctl.engine.build_request import BuildFailedError, BuildStepEnded, OnOutput, OnStep
from loopctl.engine.build_steps import FOLDER, instruction, makes_content
from loopctl.engine.build_trace import Printed, Trace, Vertex
from loopctl.inert import for_terminal

_LONGEST_LINE: Final = 64 * 1024
# Said of the steps that were ended because another one had failed.
_BYSTANDER: Final = "context canceled"


@dataclass(slots=True)
class _Step:
    number: int
    vertex: Vertex
    began: float | None = None
    told: bool = False
    told_cached: bool = False
    unfinished: dict[int, bytes] = field(default_factory=dict)


class BuildProgress:
    """Tells of each step once, as it ends; a second time only if it then turns out to be cached."""

    def __init__(self, on: OnStep, output: OnOutput) -> None:
        self._on = on
        self._output = output
        self._vertices: dict[str, Vertex] = {}
        self._steps: dict[str, _Step] = {}
        self._failed: list[_Step] = []

    def feed(self, trace: Trace) -> None:
        """Take in one message."""
        for vertex in trace.vertices:
            self._vertices[vertex.digest] = vertex
            if vertex.started is not None:
                self._begun(vertex)
        # What a step printed stands before its end, also where one message brings both.
        for printed in trace.printed:
            self._print(printed)
        for vertex in trace.vertices:
            if vertex.started is not None and (vertex.completed is not None or vertex.error):
                self._ended(self._steps[vertex.digest], vertex)

    def failure(self, text: str, code: int | None = None) -> BuildFailedError:
        """The error for what the engine said last; the step is the one that says the same."""
        own = [step for step in self._failed if _BYSTANDER not in step.vertex.error]
        same = [step for step in own if step.vertex.error in text]
        for step in [*same, *own][:1]:
            mark = f"#{step.number} "
            return failure(text, step=step.vertex.name, code=code, mark=mark)
        return failure(text, code=code)

    def _begun(self, vertex: Vertex) -> None:
        step = self._steps.get(vertex.digest)
        if step is None:
            step = self._steps[vertex.digest] = _Step(len(self._steps) + 1, vertex)
            self._write(step, for_terminal(vertex.name).encode())
        if step.began is None:
            step.began = vertex.started
        step.vertex = vertex

    def _ended(self, step: _Step, vertex: Vertex) -> None:
        self._flush(step)
        if vertex.error:
            if not step.told:
                step.told = True
                self._failed.append(step)
                self._write(step, b"ERROR: " + for_terminal(vertex.error).encode())
            return
        cached = self._is_from_cache(vertex)
        if step.told and (step.told_cached or not cached):
            return
        step.told, step.told_cached = True, cached
        seconds = max(0.0, (vertex.completed or 0.0) - (step.began or 0.0))
        self._write(step, b"CACHED" if vertex.cached else b"DONE %.1fs" % seconds)
        self._on(BuildStepEnded(vertex.name, seconds, cached))

    def _is_from_cache(self, vertex: Vertex) -> bool:
        if not vertex.cached or instruction(vertex.name) != FOLDER:
            return vertex.cached and makes_content(vertex.name)
        return not self._is_bare(vertex)

    def _is_bare(self, vertex: Vertex) -> bool:
        """Whether there is nothing but folders between this and the base."""
        waiting, seen = [vertex], {vertex.digest}
        while waiting:
            each = waiting.pop()
            if makes_content(each.name):
                return False
            for digest in each.inputs:
                below = self._vertices.get(digest)
                if below is None:
                    return False
                if digest not in seen:
                    seen.add(digest)
                    waiting.append(below)
        return True

    def _print(self, printed: Printed) -> None:
        step = self._steps.get(printed.digest)
        if step is None:
            return
        *lines, rest = (step.unfinished.get(printed.stream, b"") + printed.data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        step.unfinished[printed.stream] = rest
        since = max(0.0, printed.at - (step.began or printed.at))
        for line in lines:
            self._write(step, b"%.3f %s" % (since, line))

    def _flush(self, step: _Step) -> None:
        for rest in step.unfinished.values():
            if rest:
                self._write(step, rest)
        step.unfinished.clear()

    def _write(self, step: _Step, text: bytes) -> None:
        self._output(b"#%d %s\n" % (step.number, text))
