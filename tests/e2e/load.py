"""Users of a service: requests to its stable URL for as long as a test wants them."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """Requests to the stable URL, one after the other, until told to stop."""

    url: str
    keep_alive: bool
    path: str = "/hello"
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(20)

    def _ask(self) -> None:
        where = urlsplit(self.url)
        assert where.hostname
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
        # Five milliseconds between requests leave the two cores to the run itself.
        while not self.over.wait(0.005):
            try:
                headers = {} if self.keep_alive else {"Connection": "close"}
                connection.request("GET", self.path, headers=headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                if answer.status != 200:
                    self.failures.append(f"{answer.status}")
                self.answers.append(body["revision"])
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()
