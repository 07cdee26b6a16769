"""Opening a report in the browser of whoever sits here, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE_NAME = "report.html"


def open_page(folder: Path) -> bool:
    """Open the run's page in a browser; False where there is none to open it with.

    Never waits for the browser, which lives on by itself. One that would take over the terminal
    is not started unless `BROWSER` names it.
    """
    page = folder / PAGE_NAME
    if not page.is_file() or not _has_browser():
        return False
    # The module may wait until the browser is closed: in a process of its own nobody waits.
    # -P: a file of the project's must not stand in for it.
    command = [sys.executable, "-P", "-m", "webbrowser", page.resolve().as_uri()]
    nowhere = subprocess.DEVNULL
    try:
        subprocess.Popen(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except OSError:
        return False
    return True


def _has_browser() -> bool:
    import webbrowser  # no other command waits for it

    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    # Exactly this class is what runs in a terminal (`lynx`, `w3m`), unless somebody chose it.
    return type(found) is not webbrowser.GenericBrowser or bool(os.environ.get("BROWSER"))
