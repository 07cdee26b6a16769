"""Replacements of network code: by mock, by pytest's monkeypatch, by requests-mock.

The mocks are of unknown versions, so their objects are `Any`. A neighbour of
`loopctl_evidence.py`: standard library and pytest >= 7 only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from loopctl_guard import guarded
from loopctl_patches import around
from loopctl_text import clean

if TYPE_CHECKING:
    from loopctl_patches import Patches, Wrapper
    from loopctl_phase import Current

_NETWORK_PACKAGES = frozenset(
    "socket _socket ssl _ssl http.client urllib.request urllib3 requests niquests httpx httpcore "  # noqa: SIM905
    "h11 h2 aiohttp websockets websocket wsproto grpc botocore boto3 aiobotocore asyncio.streams "
    "pycurl curl_cffi httplib2 tornado.httpclient tornado.websocket socketio engineio gql treq "
    "google.auth.transport".split()
)


class Mocks:
    """Replacements of network code that are in force now."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self.active: dict[object, dict[str, str]] = {}

    def install(self, patches: Patches) -> None:
        """Watch pytest's own `monkeypatch`."""
        patches.wrap(pytest.MonkeyPatch, "setattr", around(after=self._attribute_set))
        patches.wrap(pytest.MonkeyPatch, "setitem", around(after=self._item_set))
        patches.wrap(pytest.MonkeyPatch, "undo", around(self._undone))

    def hooks(self) -> list[tuple[str, Wrapper]]:
        """Where the others replace something, as `module:attribute`, and what to put around it."""
        enter, leave = around(after=self._entered), around(self._drop)
        return [
            ("unittest.mock:_patch.__enter__", enter),
            ("unittest.mock:_patch.__exit__", leave),
            ("mock.mock:_patch.__enter__", enter),
            ("mock.mock:_patch.__exit__", leave),
            ("requests_mock.mocker:MockerCore.start", around(self._requests_mock_started)),
            ("requests_mock.mocker:MockerCore.stop", leave),
        ]

    def _add(self, key: object, what: str, how: str) -> None:
        self.active[key] = self.note(what, how)

    def _drop(self, key: object, *_: object) -> None:
        self.active.pop(id(key), None)

    def note(self, what: str, how: str) -> dict[str, str]:
        """Say that network code was replaced in this phase, without keeping it for the next one."""
        entry = {"what": clean(what, 300), "how": how}
        phase = self._current.running
        if phase is not None and entry not in phase.mocks:
            phase.keep("mocks", entry)
        return entry

    @guarded
    def _entered(self, new: Any, patch: Any) -> None:
        wraps = (getattr(patch, "kwargs", None) or {}).get("wraps")
        place = (patch.target, patch.attribute)
        if wraps is None and _fakes_network(*place, patch.temp_original, new):
            self._add(id(patch), _dotted(*place), "mock.patch")

    @guarded
    def _requests_mock_started(self, mocker: Any) -> None:
        self._add(id(mocker), "requests.sessions.Session.get_adapter", "requests-mock")

    @guarded
    def _attribute_set(self, _result: object, monkeypatch: Any, *_: object, **__: object) -> None:
        target, name, original = monkeypatch._setattr[-1]
        if _fakes_network(target, name, original, getattr(target, name)):
            self._add((id(monkeypatch), id(target), name), _dotted(target, name), "monkeypatch")

    @guarded
    def _item_set(self, _result: object, monkeypatch: Any, *_: object, **__: object) -> None:
        mapping, name, original = monkeypatch._setitem[-1]
        if mapping is sys.modules and _is_network(name):
            self._add((id(monkeypatch), "modules", name), f"sys.modules[{name}]", "monkeypatch")
        elif callable(original) and _is_network(_home(original)):
            self._add((id(monkeypatch), id(mapping), name), f"[{name!r}]", "monkeypatch")

    @guarded
    def _undone(self, monkeypatch: Any) -> None:
        mine = [key for key in self.active if isinstance(key, tuple) and key[0] == id(monkeypatch)]
        for key in mine:
            del self.active[key]


def _is_network(name: object) -> bool:
    """Whether a dotted module name lies in a package that does networking."""
    parts = str(name).split(".")
    return any(
        ".".join(parts[:size]) in _NETWORK_PACKAGES for size in range(1, min(len(parts), 3) + 1)
    )


def _home(value: Any) -> str:
    """The module a value comes from: its own name for a module, its type's for an instance."""
    if type(value) is type(sys):
        return str(value.__name__)
    return str(getattr(value, "__module__", None) or type(value).__module__)


def _is_spy(new: Any, original: Any) -> bool:
    """Whether the replacement hands each call on to what it replaces."""
    for name in ("_mock_wraps", "__wrapped__", "side_effect"):
        behind = getattr(new, name, None)
        if behind is not None and (behind is original or _unwrapped(behind) is original):
            return True
    return False


def _unwrapped(function: Any) -> Any:
    return getattr(function, "__wrapped__", None)


def _fakes_network(owner: Any, name: str, original: Any, new: Any) -> bool:
    """Whether a replacement took network code away: neither a constant nor a spy that passes on."""
    if type(original).__name__ == "Notset":  # what MonkeyPatch keeps for an inherited attribute
        bases = getattr(owner, "__mro__", type(owner).__mro__)
        original = next((vars(each)[name] for each in bases[1:] if name in vars(each)), None)
    code = callable(original) or hasattr(original, "__func__") or type(original) is type(sys)
    network = _is_network(_home(original)) or _is_network(_home(owner))
    return code and network and not _is_spy(new, original)


def _dotted(owner: Any, name: str) -> str:
    if type(owner) is type(sys):
        return f"{owner.__name__}.{name}"
    return f"{_home(owner)}.{getattr(owner, '__qualname__', type(owner).__qualname__)}.{name}"
