"""The names that cases bear outside the test process, and what pytest itself calls them."""

from __future__ import annotations

import threading

from loopctl.redact import Redactor
from loopctl.suites.event_redaction import EventRedaction


class CaseNames:
    """Redacted ids by pytest's own, and back; two that redaction makes alike get a number.

    The numbers go by the order in which tests are first heard of. So whoever runs some cases
    again needs the names of the run that told of them: collected alone, they would be numbered
    otherwise. Shards share them, so any thread may ask.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redaction = EventRedaction(redactor)
        self._names: dict[str, str] = {}
        self._raw: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._naming = threading.Lock()

    def of(self, raw: str) -> str:
        """The name of a test by pytest's id."""
        with self._naming:
            known = self._names.get(raw)
            if known is None:
                known = self._free(self._redaction.text(raw))
                self._names[raw] = known
                self._raw[known] = raw
            return known

    def raw(self, name: str) -> str:
        """Pytest's id of a test by its name; a name that nobody was told stands for itself."""
        return self._raw.get(name, name)

    def _free(self, wanted: str) -> str:
        name, number = wanted, self._numbers.get(wanted, 1)
        while name in self._raw:
            number += 1
            name = f"{wanted}#{number}"
        self._numbers[wanted] = number
        return name
