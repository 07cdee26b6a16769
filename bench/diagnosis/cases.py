"""Cases as they are written in cases/*.yaml, and the export that each of them comes to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from bench.diagnosis.exports import NAME_SERVICES, export, suffix
from bench.diagnosis.noise import layers, noise, passing
from bench.diagnosis.story import Line, told

_FOLDER: Final = Path(__file__).parent
SETS: Final = ("cases", "held_out")
_WHEN: Final = {"before": (-5400.0, -30.0), "around": (-5400.0, 900.0), "after": (2.0, 900.0)}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case should come to.

    `cause` are names of rows (`rows.yaml`), any of which is right, or `unknown`, or `green`.
    `evidence` are texts that must be quoted, each of them; ` … ` stands between parts that one
    quote must hold. `service` is None where the export names none. `may` are the actions that
    may be taken without a person.
    """

    cause: tuple[str, ...]
    evidence: tuple[str, ...]
    service: str | None
    may: frozenset[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a log export, or what a run captured (`capture`)."""

    name: str
    near_miss: bool
    expected: Expected
    given: Mapping[str, Any] = field(repr=False)

    @property
    def capture(self) -> Sequence[Mapping[str, Any]] | None:
        """The rows of a run's capture, where the case is one."""
        rows: Sequence[Mapping[str, Any]] | None = self.given.get("capture")
        return rows

    @property
    def is_green(self) -> bool:
        """Whether nothing is wrong."""
        return self.expected.cause == ("green",)

    @property
    def is_unknown(self) -> bool:
        """Whether something is wrong that no signature may claim to know."""
        return self.expected.cause == ("unknown",)

    @property
    def file_name(self) -> str:
        """What its export is called."""
        return self.name + suffix(self.given.get("form", "raw"))

    def quieter(self, most: int) -> Case:
        """The same case with at most so many lines of each kind of noise: sooner judged."""
        return replace(self, given=_quieter(self.given, most))

    def in_form(self, form: str) -> Case | None:
        """The same case as another export; None where it is written as it stands."""
        if "form" not in self.given:
            return None
        return replace(self, given={**self.given, "form": form})

    def text(self) -> str:
        """Its export, the same each time."""
        return _text(self.given, Random(zlib.crc32(self.name.encode())))

    def green_text(self) -> str | None:
        """The log of a good time that comes with it, where one does."""
        if "green" not in self.given:
            return None
        green = {**self.given, "story": "", **self.given["green"]}
        return _text(green, Random(zlib.crc32(f"green {self.name}".encode())))


def cases(folder: str = "cases") -> tuple[Case, ...]:
    """All of one set, in the order of their files. Raises ValueError for two of one name."""
    rows = _yaml("rows.yaml")
    found = [
        _case(given, rows)
        for file in sorted((_FOLDER / folder).glob("*.yaml"))
        for given in yaml.safe_load(file.read_text("utf-8"))
    ]
    names = [case.name for case in found]
    if len(names) != len(set(names)):
        raise ValueError(f"two cases of one name: {sorted(n for n in names if names.count(n) > 1)}")
    return tuple(found)


def signatures_of(rows: Sequence[str]) -> frozenset[str]:
    """The signatures that stand for those rows of the facts' table."""
    known = _yaml("rows.yaml")
    return frozenset(each for row in rows for each in known.get(row, {}).get("signatures", ()))


def _quieter(given: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    noise = [amount.split(maxsplit=1) for amount in _many(given.get("noise", ()))]
    fewer = {"noise": [f"{min(int(number), most)} {like}" for number, like in noise]}
    green = {"green": _quieter(given["green"], most)} if "green" in given else {}
    return {**given, **fewer, **green}


def _text(given: Mapping[str, Any], random: Random) -> str:
    if "raw" in given:
        return _raw(given["raw"], random)
    return export(given["form"], _lines(given, random), random.randrange(60))


def _yaml(name: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((_FOLDER / name).read_text("utf-8"))
    return loaded


def _case(given: Mapping[str, Any], rows: Mapping[str, Any]) -> Case:
    cause = tuple(_many(given["cause"]))
    missing = [row for row in cause if row not in rows and row not in ("unknown", "green")]
    if missing:
        raise ValueError(f"{given['id']}: no such row in rows.yaml: {', '.join(missing)}")
    true = (*cause, *given.get("also", ()))
    may = {action for row in true for action in rows.get(row, {}).get("may", ())}
    # Plain text names no service, other than what compose puts before every line.
    told = "capture" in given or given.get("form") in NAME_SERVICES
    service = given.get("expect_service", given.get("service")) if told else None
    expected = Expected(cause, tuple(_many(given.get("evidence", ()))), service, frozenset(may))
    return Case(given["id"], bool(given.get("near")), expected, given)


def _many(value: object) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]


def _lines(given: Mapping[str, Any], random: Random) -> Iterator[Line]:
    service = given["service"]
    revision = given.get("revision", f"{service}-00042-dj9")
    green = given.get("green_revision", f"{service}-00041-kxh")
    yield from told(given.get("story", ""), service, revision)
    for amount in _many(given.get("noise", ())):
        number, like, *rest = amount.split()
        options = dict(part.split("=") for part in rest)
        name = options.get("of", service)
        serving = green if name == service else f"{name}-00007-46f"
        within = _WHEN[options.get("when", "around")]
        if name == service and options.get("when") == "after":
            serving = revision
        scary = float(options.get("scary", 0.02))
        yield from noise(int(number), like, name, serving, within, random, scary)


def _raw(text: str, random: Random) -> str:
    return "".join(f"{line}\n" for raw in text.splitlines() for line in _expanded(raw, random))


def _expanded(raw: str, random: Random) -> Iterator[str]:
    match raw.split():
        case ["%passing", number]:
            yield from passing(int(number), random)
        case ["%layers", number, state]:
            yield from layers(int(number), random, state)
        case ["%noise", number, like]:
            lines = noise(int(number), like, "app", "app-1", (0, 1), random)
            yield from (line.text for line in lines if line.kind != "req")
        case _:
            yield raw
