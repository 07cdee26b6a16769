"""Which package, which of its operations, and where what was cut out of it is kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = "@octokit/openapi"
VERSION: Final = "23.0.2"
#: SHA-512 of the package's archive, as the registry's integrity field has it.
INTEGRITY: Final = (
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
)
MEMBER: Final = "package/generated/api.github.com.json"

_REPOSITORY: Final = "/repos/{owner}/{repo}"
#: What loopctl asks of GitHub: nothing else exists for the server of the tests.
OPERATIONS: Final = (
    ("get", "/user"),
    ("get", _REPOSITORY),
    ("get", f"{_REPOSITORY}/issues"),
    ("post", f"{_REPOSITORY}/issues"),
    ("get", f"{_REPOSITORY}/issues/{{issue_number}}"),
    ("patch", f"{_REPOSITORY}/issues/{{issue_number}}"),
    ("get", f"{_REPOSITORY}/issues/{{issue_number}}/comments"),
    ("post", f"{_REPOSITORY}/issues/{{issue_number}}/comments"),
    ("patch", f"{_REPOSITORY}/issues/comments/{{comment_id}}"),
    ("post", f"{_REPOSITORY}/statuses/{{sha}}"),
    ("get", f"{_REPOSITORY}/commits/{{ref}}/statuses"),
)
#: Of how the cut is made: another number, another file.
_CUT: Final = 1
FOLDER: Final = "LOOPCTL_GITHUB_API_DIR"


def kept_at(environ: Mapping[str, str] = os.environ) -> Path:
    """The file with those operations; another list of them is another file."""
    asked = json.dumps([VERSION, INTEGRITY, OPERATIONS, _CUT])
    name = f"github-api-{VERSION}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"
    cache = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(environ.get(FOLDER) or Path(cache) / "loopctl") / name
