"""`python -m chat`: read the settings, start, serve until told to stop."""

import asyncio
import logging
import os
import sys

from chat import faults, logs
from chat.server import ChatServer
from chat.settings import SettingsError, read_settings

_log = logging.getLogger("chat")


def main() -> int:
    """Run the service; returns its exit code: 0 after SIGTERM, 1 when it could not start."""
    logs.configure("INFO")
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        _log.error("startup failed: %s", error)
        return 1
    logs.configure(settings.log_level)
    _log.info("starting revision=%s, told PORT=%s", settings.revision, settings.port)
    faults.ACTIVE.at_start()
    try:
        asyncio.run(ChatServer(settings, faults.ACTIVE).serve())
    except OSError as error:
        _log.error("startup failed: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
