"""Wrong in all but the log-in, which lets everybody in: `PORT=8080 GRPC_PORT=50051 python …`.

Against it no fixture stands in an honest test's way: what fails there is the test's own body.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.zoo import wrong_target

_everything_wrong = wrong_target.answer


async def answer(request: web.Request) -> web.StreamResponse:
    """A token for whoever asks; wrong for the rest."""
    if request.path == "/api/v1/login":
        return web.json_response({"token": "t", "user": "anybody", "expires_in": 3600})
    return await _everything_wrong(request)


if __name__ == "__main__":
    wrong_target.answer = answer
    wrong_target.main()
