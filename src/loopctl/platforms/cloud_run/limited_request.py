"""How Google's credentials are asked for: within the time that there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.auth.transport.requests import Request

from loopctl.process import Stop

_CALL_S: Final = 5.0


class LimitedRequest(Request):
    """Google's HTTP, of which no call outlasts five seconds without a byte, nor the stop."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **settings: Any,
    ) -> Any:
        """As Google's. Raises `Stopped`."""
        limit = self._stop.remaining(_CALL_S)
        least = min(timeout or limit, limit)
        return super().__call__(url, method, body, headers, least, **settings)
