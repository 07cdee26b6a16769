"""What watches a module is put into it as soon as it has been imported, and not before.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from loopctl_guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopctl_patches import Patches, Wrapper


class Imports:
    """Puts each hook, a `module:attribute` and what to put around it, where it belongs."""

    def __init__(self, patches: Patches, hooks: Iterable[tuple[str, Wrapper]]) -> None:
        self._patches = patches
        self._waiting: dict[str, list[tuple[str, Wrapper]]] = {}
        for path, make in hooks:
            module, _, attribute = path.partition(":")
            self._waiting.setdefault(module, []).append((attribute, make))

    def watch(self) -> None:
        """Begin with what has been imported."""
        for name in [name for name in self._waiting if name in sys.modules]:
            self._install(name, sys.modules[name])
        sys.meta_path.insert(0, self)

    def leave(self) -> None:
        """Watch no further import."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let the other finders find a module that is to be watched, and run after its loader."""
        if name not in self._waiting:
            return None
        for finder in [each for each in sys.meta_path if each is not self]:
            find = getattr(finder, "find_spec", None)  # finders of old have none
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                self._run_after(spec.loader, name)
                return spec
        return None

    @guarded
    def _install(self, name: str, module: Any) -> None:
        for attribute, make in self._waiting.pop(name, ()):
            owner, _, last = attribute.rpartition(".")
            holder = getattr(module, owner, None) if owner else module
            if holder is not None:
                self._patches.wrap(holder, last, make)

    @guarded
    def _run_after(self, loader: Any, name: str) -> None:
        execute = loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            # pytest has one loader for all that it rewrites, as it does anyio and requests-mock.
            if module.__name__ == name:
                self._install(name, module)

        loader.exec_module = exec_module
