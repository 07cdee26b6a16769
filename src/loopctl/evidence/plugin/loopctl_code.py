"""A hash of a test's code and of the fixtures it uses, to tell one that changed.

A neighbour of `loopctl_evidence.py`: standard library only, Python >= 3.8. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INSTALLED = ("site-packages", "dist-packages")
# What a control run asks of a test: another word where it asks more, so that no hash which an
# earlier version has borne out is taken for one of this.
_ASKED = "refused, answered wrongly"
# Bound now: tests mock these.
_open, _exists = open, os.path.exists


class Codes:
    """The hashes of a session's tests. Files count as they were when first asked for."""

    def __init__(self) -> None:
        self._versions: Mapping[str, str] = {}
        self._files: dict[str, str] = {}
        self._conftests: dict[str, list[str]] = {}
        self._imported = ""
        # By function, which parametrized tests share; kept beside its digest, so that no other
        # one can come to its address.
        self._known: dict[tuple[str, int], tuple[object, str]] = {}

    def session(self, plugins: Iterable[tuple[Any, Any]]) -> None:
        """Learn which version every plugin has: `list_plugin_distinfo()` of pytest's manager."""
        self._versions = {
            str(getattr(plugin, "__name__", "")).partition(".")[0]: str(found.version)
            for plugin, found in plugins
        }

    def collected(self, items: Iterable[Any], root: str) -> None:
        """Learn what the suite has imported of the user's own, tests and conftests left out.

        Whose module imports which is not told: each of these counts for every test. What a test
        imports only while it runs is no part of it.
        """
        tests = {str(item.path) for item in items}
        here = os.path.dirname(__file__)  # noqa: PTH120
        installed = tuple(p + os.sep for p in {here, sys.prefix, sys.base_prefix})
        files = {str(getattr(each, "__file__", None) or "") for each in list(sys.modules.values())}
        own = [
            file
            for file in files
            if file.endswith(".py")
            and file not in tests
            and os.path.basename(file) != "conftest.py"  # noqa: PTH119
            and not file.startswith(installed)
            and not any(part in file for part in _INSTALLED)
        ]
        self._imported = "\0".join(sorted(self._file(file, root) for file in own))

    def of(self, item: Any, name: str) -> str:
        """64 hex digits over the test's id, its module, its fixtures' files and the conftests.

        And over what the suite has imported. A fixture out of an installed package counts by that
        package's version.
        """
        info = getattr(item, "_fixtureinfo", None)
        file = str(item.path)
        known = self._known.get((file, id(info)))
        if known is None or known[0] is not info:
            known = self._known[file, id(info)] = (info, self._of_function(item, info, file))
        text = "\0".join((_ASKED, name, known[1], self._imported))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    def _of_function(self, item: Any, info: Any, file: str) -> str:
        root = str(item.config.rootpath)
        parts = {self._file(each, root) for each in (file, *self._conftests_of(file, root))}
        for definitions in getattr(info, "name2fixturedefs", {}).values():
            parts.update(self._fixture(each.func, root) for each in definitions)
        return hashlib.sha256("\0".join(sorted(parts)).encode("utf-8", "replace")).hexdigest()

    def _fixture(self, function: Any, root: str) -> str:
        bare = inspect.unwrap(function)
        bare = getattr(bare, "__func__", getattr(bare, "func", bare))  # a method, a partial
        code = getattr(bare, "__code__", None)
        module = str(getattr(bare, "__module__", None) or type(bare).__module__)
        if code is None or any(part in code.co_filename for part in _INSTALLED):
            package = module.partition(".")[0]
            return f"{module} {self._versions.get(package, '')}"
        return self._file(code.co_filename, root)

    def _file(self, path: str, root: str) -> str:
        """The file's place below the root, the same in any checkout, and a hash of its content."""
        known = self._files.get(path)
        if known is None:
            try:
                with _open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
            except OSError:
                digest = "unreadable"  # made at run time, in no file
            known = self._files[path] = f"{os.path.relpath(path, root)} {digest}"
        return known

    def _conftests_of(self, file: str, root: str) -> list[str]:
        """Those in force for a file, whether a test of it uses their fixtures or not."""
        folder = os.path.dirname(file)  # noqa: PTH120 - cheaper, and tests mock pathlib
        known = self._conftests.get(folder)
        if known is None:
            path = os.path.join(folder, "conftest.py")  # noqa: PTH118
            above = folder != root and folder.startswith(root + os.sep)
            known = self._conftests_of(folder, root) if above else []
            known = self._conftests[folder] = [*known, *([path] if _exists(path) else [])]
        return known
