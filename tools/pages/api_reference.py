"""`docs/python-api-reference.md`: every public name of `loopctl.api`, from its own docstring."""

from __future__ import annotations

import dataclasses
import inspect
from enum import Enum

from loopctl import api, errors
from loopctl.authoring.doctor import Check
from loopctl.authoring.outlook import Outlook, ServiceOutlook
from loopctl.journal.worklog import CycleRecord, ServiceRecord, StageRecord, SuiteRecord, Worklog
from loopctl.model.events import RunEnded
from loopctl.model.evidence import CaseStatus, GradedCase
from loopctl.model.finding import Finding, Quote, Why
from loopctl.model.state import StopReason, Verdict
from loopctl.triage.triaged import ServiceLook, Triaged

_INTRO = """\
# Python: every name

[python-api.md](python-api.md) shows how they are used together. `make docs` makes this page from
the signatures and docstrings of `loopctl.api` and `loopctl.errors`. Durations are in seconds where
a name ends in `_s`; times are UTC; paths are `pathlib.Path`.
"""

_WIDTH = 88
_PLAIN = (str, int, float, tuple, type(None), Enum)

_GIVEN: tuple[type, ...] = (
    Worklog,
    CycleRecord,
    StageRecord,
    ServiceRecord,
    SuiteRecord,
    GradedCase,
    Finding,
    Quote,
    Why,
    RunEnded,
    Outlook,
    ServiceOutlook,
    Check,
    Triaged,
    ServiceLook,
    Verdict,
    StopReason,
    CaseStatus,
)
"""What the functions give, as far as a program meets it on its way."""


def page() -> str:
    """The whole page."""
    named = [(name, getattr(api, name)) for name in sorted(api.__all__, key=str.lower)]
    functions = [(name, each) for name, each in named if inspect.isfunction(each)]
    classes = [each for _, each in named if inspect.isclass(each)]
    values = {each.__name__: each for each in (*classes, *_GIVEN)}
    raised = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, BaseException)
    ]
    parts = [
        _INTRO,
        "## Functions\n",
        *(_entry(name, _signature(name, each), each.__doc__) for name, each in functions),
        "## Values\n",
        *(_value(values[name]) for name in sorted(values, key=str.lower)),
        "## Errors\n",
        *(_error(each) for each in sorted(raised, key=lambda each: each.__name__)),
    ]
    return "\n".join(parts)


def _entry(name: str, code: str, said: str | None) -> str:
    shown = f"```py\n{code}\n```\n\n" if code else ""
    return f"### {name}\n\n{shown}{inspect.cleandoc(said or '')}\n"


def _signature(name: str, function: object) -> str:
    assert callable(function)
    signature = inspect.signature(function)
    parts = [_parameter(each) for each in signature.parameters.values()]
    kinds = [each.kind for each in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        parts.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    gives = f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parts)}){gives}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){gives}"])


def _parameter(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        given = ""
    elif isinstance(default, _PLAIN):
        given = f" = {default!r}"
    else:
        given = " = …"  # what is no constant is this machine's: its environment, its streams
    return f"{parameter.name}: {parameter.annotation}{given}"


def _value(value: type) -> str:
    if issubclass(value, Enum):
        members = ", ".join(f"`{each.value}`" for each in value)
        return f"{_entry(value.__name__, '', value.__doc__)}\nOne of {members}.\n"
    rows = [*_fields(value), *_members(value)]
    table = "\n| field | type |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
    return _entry(value.__name__, "", value.__doc__) + table


def _fields(value: type) -> list[str]:
    if not dataclasses.is_dataclass(value):
        return []
    return [
        f"| `{each.name}` | `{_plain(each.type)}`{_default(each)} |"
        for each in dataclasses.fields(value)
    ]


def _default(field: dataclasses.Field[object]) -> str:
    if not isinstance(field.default, _PLAIN) or field.default in (None, ()):
        return ""
    shown = field.default.value if isinstance(field.default, Enum) else repr(field.default)
    return f", `{shown}` unless given"


def _members(value: type) -> list[str]:
    """Properties and methods, with the first line of what they say."""
    rows = []
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not callable(function):
            continue
        signature = inspect.signature(function)
        gives = signature.return_annotation
        taken = ", ".join(each for each in signature.parameters if each != "self")
        called = "" if isinstance(member, property) else f"({taken})"
        said = " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| `{name}{called}` | `{_plain(gives)}`: {said} |")
    return rows


def _plain(annotation: object) -> str:
    return str(annotation).replace(" | ", " \\| ")


def _error(error: type[BaseException]) -> str:
    code = vars(error).get("exit_code")
    number = f"\nExit code {int(code)}.\n" if isinstance(code, errors.ExitCode) else ""
    return _entry(error.__name__, "", error.__doc__) + number
