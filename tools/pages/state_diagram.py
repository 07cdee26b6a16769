"""`docs/state-machine.svg`: the whole table of the machine in one drawing.

The places are chosen by hand, what stands on the arrows comes from the table. A transition for
which there is no place is an error: then this drawing has to be thought about again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from xml.sax.saxutils import escape

from loopctl.machine.transitions import TRANSITIONS
from loopctl.model.state import PATH, State

_BOX = (116, 34)
_WIDTH, _HEIGHT = 950, 640
_LEFT, _BRACKET, _MIDDLE, _BUS, _RIGHT = 110, 274, 460, 770, 870
_MADE = PATH[1:-1]
"""The stages that change things: they leave the path in the same ways."""

_PLACES: Mapping[State, tuple[int, int]] = {
    **{state: (_LEFT, 40 + 74 * row) for row, state in enumerate(PATH)},
    State.COLLECT: (_MIDDLE, 188),
    State.SETTLE: (_MIDDLE, 300),
    State.DIAGNOSE: (_MIDDLE, 412),
    State.REMEDIATE: (_MIDDLE, 524),
    State.STOPPED: (_RIGHT, 356),
}

_STYLE = """\
text{font:12px system-ui,sans-serif;fill:#1f2d33}
.state{font-weight:600;text-anchor:middle}
.box{fill:#fff;stroke:#4a5a61;stroke-width:1.3}
.end{fill:#d5efe9}.off{fill:#fbe5de}
.arrow{fill:none;stroke:#4a5a61;stroke-width:1.3}
"""


def svg() -> str:
    """The drawing; the same words as in the table, so it needs none of its own."""
    drawn = [*_happy_path(), *_off_the_path(), *_bundle(), *_to_stopped(), *_entries()]
    _all_is_drawn(pair for pair, _ in drawn)
    boxes = [_box(state) for state in State]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            "<title>The state machine</title>",
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"',
            ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a5a61"/></marker>',
            "</defs>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#f4f7f7"/>',
            *dict.fromkeys(shape for _, shape in drawn),
            *boxes,
            "</svg>\n",
        ]
    )


Drawn = tuple[tuple[State, State], str]
"""What leads from where to where, and the shape that shows it."""


def _kinds(here: State, there: State) -> str:
    return ", ".join(
        kind.value for (state, kind), to in TRANSITIONS.items() if (state, to) == (here, there)
    )


def _all_is_drawn(pairs: Iterable[tuple[State, State]]) -> None:
    missing = {(here, to) for (here, _), to in TRANSITIONS.items()} - set(pairs)
    if missing:
        named = ", ".join(f"{here.value} to {there.value}" for here, there in sorted(missing))
        raise ValueError(f"the drawing of the state machine has no place for {named}")


def _box(state: State) -> str:
    x, y = _PLACES[state]
    width, height = _BOX
    kind = "end" if state is State.GREEN else "off" if state is State.STOPPED else ""
    return (
        f'<rect class="box {kind}" x="{x - width // 2}" y="{y - height // 2}" width="{width}"'
        f' height="{height}" rx="6"/><text class="state" x="{x}" y="{y + 4}">{state.value}</text>'
    )


def _arrow(path: str, said: str = "", at: tuple[int, int] = (0, 0), anchor: str = "start") -> str:
    text = (
        f'<text x="{at[0]}" y="{at[1]}" text-anchor="{anchor}">{escape(said)}</text>'
        if said
        else ""
    )
    return f'<path class="arrow" marker-end="url(#tip)" d="{path}"/>{text}'


def _down(here: State, there: State) -> Drawn:
    (x, y), (_, to) = _PLACES[here], _PLACES[there]
    said = _kinds(here, there)
    path = f"M{x} {y + 17}V{to - 17}"
    return (here, there), _arrow(path, said, (x + 8, (y + to) // 2 + 4))


def _happy_path() -> list[Drawn]:
    again = (State.HEALTH, State.DEPLOY)
    x, (high, low) = _LEFT + 58, (_PLACES[State.DEPLOY][1] + 6, _PLACES[State.HEALTH][1] - 6)
    loop = f"M{x} {low}H{x + 16}V{high}H{x}"
    waves = _arrow(loop, _kinds(*again), (x + 20, (high + low) // 2 + 4))
    chain = pairwise(PATH)
    return [*(_down(here, there) for here, there in chain), (again, waves)]


def _off_the_path() -> list[Drawn]:
    after = (State.COLLECT, State.SETTLE, State.DIAGNOSE, State.REMEDIATE)
    x, y = _PLACES[State.SETTLE]
    green = _PLACES[State.GREEN]
    partial = (State.SETTLE, State.GREEN)
    lane = x - 90
    path = f"M{x - 58} {y + 10}H{lane}V{green[1]}H{green[0] + 58}"
    back = _arrow(path, _kinds(*partial), (lane + 6, y + 60))
    chain = pairwise(after)
    return [*(_down(here, there) for here, there in chain), (partial, back)]


def _bundle() -> list[Drawn]:
    """What all stages that change things share, from one bracket beside them."""
    high, low = _PLACES[_MADE[0]][1], _PLACES[_MADE[-1]][1]
    ticks = "".join(f"M{_LEFT + 58} {_PLACES[each][1]}H{_BRACKET}" for each in _MADE)
    bracket = f'<path class="arrow" d="M{_BRACKET} {high}V{low}{ticks}"/>'
    drawn: list[Drawn] = []
    for there, turn in ((State.COLLECT, 188), (State.SETTLE, 300)):
        shared = set.intersection(*(set(_kinds(each, there).split(", ")) for each in _MADE))
        said = [kind for kind in _kinds(_MADE[0], there).split(", ") if kind in shared]
        lines = [", ".join(said)]
        for each in _MADE:
            own = [kind for kind in _kinds(each, there).split(", ") if kind not in shared]
            lines += [f"{each.value}: {', '.join(own)}"] if own else []
        shape = bracket + _arrow(f"M{_BRACKET} {turn}H{_MIDDLE - 58}")
        shape += "".join(
            f'<text x="{_BRACKET + 6}" y="{turn - 6 + 20 * row}">{escape(line)}</text>'
            for row, line in enumerate(_wrapped(lines))
        )
        drawn += [((each, there), shape) for each in _MADE]
    moved = _kinds(_MADE[0], State.STOPPED)
    top = f'<path class="arrow" d="M{_BRACKET} {high}H{_BUS}"/>'
    top += f'<text x="{_BRACKET + 6}" y="{high - 6}">{moved}</text>'
    return [*drawn, *(((each, State.STOPPED), top) for each in _MADE)]


def _wrapped(lines: list[str]) -> list[str]:
    """No line longer than there is room between bracket and box."""
    first, *rest = lines
    head, _, tail = first.partition(", ") if len(first) > 20 else (first, "", "")
    return [f"{head}," if tail else head, *([tail] if tail else []), *rest]


def _to_stopped() -> list[Drawn]:
    """A bus on the right, into which everything runs that ends the run."""
    x, y = _PLACES[State.STOPPED]
    first, last = _PLACES[State.PREFLIGHT][1], _PLACES[State.REMEDIATE][1]
    bus = f'<path class="arrow" d="M{_BUS} {first}V{last}"/>' + _arrow(f"M{_BUS} {y}H{x - 58}")
    drawn: list[Drawn] = []
    for here in (State.PREFLIGHT, State.COLLECT, State.SETTLE, State.DIAGNOSE, State.REMEDIATE):
        left, row = _PLACES[here]
        line = f'<path class="arrow" d="M{left + 58} {row}H{_BUS}"/>'
        text = f'<text x="{left + 64}" y="{row - 6}">{_kinds(here, State.STOPPED)}</text>'
        drawn.append(((here, State.STOPPED), bus + line + text))
    return drawn


def _entries() -> list[Drawn]:
    """Where a run, or the next cycle, may begin: a bus on the left."""
    lane = 22
    preflight, remediate = _PLACES[State.PREFLIGHT], _PLACES[State.REMEDIATE]
    bottom = _HEIGHT - 20
    bus = (
        f'<path class="arrow" d="M{remediate[0]} {remediate[1] + 17}V{bottom}H{lane}V{preflight[1]}'
        f'H{preflight[0] - 58}"/>'
    )
    drawn: list[Drawn] = []
    for there in _MADE:
        if not _kinds(State.REMEDIATE, there):
            continue
        y = _PLACES[there][1]
        into = _arrow(f"M{lane} {y}H{_LEFT - 58}")
        said = f'<text x="{lane + 4}" y="{y - 22}">{_kinds(State.REMEDIATE, there)}</text>'
        drawn += [((here, there), bus + into + said) for here in (State.PREFLIGHT, State.REMEDIATE)]
    return drawn
