"""Log lines: `LEVEL message key=value …`, ordinary ones on stdout, warnings and worse on stderr."""

import json
import logging
import sys


def configure(level: str) -> None:
    """Send every record of this process to stdout or stderr, one line each but for tracebacks."""
    ordinary = logging.StreamHandler(sys.stdout)
    ordinary.addFilter(lambda record: record.levelno < logging.WARNING)
    worse = logging.StreamHandler(sys.stderr)
    worse.setLevel(logging.WARNING)
    logging.basicConfig(
        level=level, format="%(levelname)s %(message)s", handlers=[ordinary, worse], force=True
    )
    # The library's own "connection open" lines would double ours.
    logging.getLogger("websockets").setLevel(logging.WARNING)


def pairs(**values: object) -> str:
    """`key=value` pairs; text is JSON-quoted, so nothing a client sent can forge a second line."""
    return " ".join(
        f"{key}={json.dumps(value) if isinstance(value, str) else value}"
        for key, value in values.items()
    )
