"""`python -m github_api`: fetch the package, hold it against its hash, keep what is used of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from engines.packages import provide
from engines.trouble import CannotError
from github_api.cut import cut
from github_api.wanted import INTEGRITY, MEMBER, OPERATIONS, PACKAGE, VERSION, kept_at

_PATIENCE_S = 600


def main() -> int:
    """Do it unless it is done; 1 when it could not be done."""
    kept = kept_at()
    try:
        if not kept.is_file():
            _keep(kept)
    except CannotError as error:
        return _say_no(str(error))
    except (OSError, subprocess.SubprocessError, tarfile.TarError, ValueError, KeyError) as error:
        return _say_no(f"{type(error).__name__}: {error}")
    sys.stdout.write(f"GitHub's API description {VERSION}: {kept}\n")
    return 0


def _keep(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        described = cut(_described(_packed(Path(folder))), OPERATIONS)
        written = Path(folder) / kept.name
        written.write_text(json.dumps(described))
        # Two that do this at once end with the same file, whole.
        written.replace(kept)


def _packed(folder: Path) -> Path:
    """The package's archive, of exactly the bytes that are expected."""
    provide("npm")
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "npm_config_update_notifier": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    found = list(folder.glob("*.tgz"))
    if ran.returncode or len(found) != 1:
        said = ran.stderr.decode(errors="replace")[-500:]
        raise CannotError(f"npm gave no {PACKAGE}@{VERSION}: {said}")
    digest = hashlib.sha512(found[0].read_bytes()).digest()
    if base64.b64encode(digest).decode() != INTEGRITY:
        raise CannotError(f"{PACKAGE}@{VERSION} is not the package that was expected")
    return found[0]


def _described(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(MEMBER)
        if member is None:
            raise CannotError(f"{PACKAGE}@{VERSION} has no {MEMBER}")
        return dict(json.load(member))


def _say_no(text: str) -> int:
    sys.stderr.write(f"make github-api: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
