"""The levels that loggers, servers and tools write in their lines, in their own spellings. Pure."""

from __future__ import annotations

import re
from typing import Final

from loopctl.triage.regexes import Regex

_HEAD: Final = 100
_LONGEST: Final = 1000
# Upper case is a level wherever it stands near the start.
_NAMES: Final = r"ERROR|CRITICAL|FATAL|PANIC|ALERT|SEVERE|EMERG(?:ENCY)?|CRIT|DPANIC"
_SMALL: Final = r"error|critical|fatal|panic|alert|severe|emerg(?:ency)?|crit|err|fail|ftl"
_GATE: Final = Regex(
    rf"{_NAMES}|\bERR\b|\bFTL\b|^[EF]\d{{4}} |(?i:\[(?:[\w.-]+:)?(?:{_SMALL})\]|\blevel=)"
    r"|\b(?:error|fatal|fail|failing|failed|FAILED|FAIL|exit(?:ed)?|code)\b|^not ok |npm ERR!"
    r"|\w(?:Error|Exception): |\bpanic: "
)
_LEVEL: Final = re.compile(
    rf"\b(?:{_NAMES})\b(?![-_=/.]\w)|\[(?:\d\d:\d\d:\d\d ?)?(?:ERR|FTL)\]|(?<= )(?:ERR|FTL)(?: |\])"
    # nginx, Apache, Elixir; logfmt
    rf"|\[(?:[\w.-]+:)?(?i:{_SMALL})\]|\b(?i:level|lvl|severity)=\"?(?i:{_SMALL})\b"
    # klog
    r"|^[EF]\d{4} \d\d:\d\d:\d\d\.\d"
    # winston, .NET's console, compilers: small, at the start or after the time
    r"|^(?:\S*\d\S* ){0,3}(?:error|fatal|critical|crit|fail)(?:\[E\d+\])?: "
    r"|^npm (?:ERR!|error) "
)
_MILD_BEFORE: Final = re.compile(r"\b(?i:TRACE|DEBUG|INFO|NOTICE|VERBOSE)\b(?![-_./]\w)|\bLOG: ")
# What runs steps, builds and tests says at their end.
_ENDED_BADLY: Final = re.compile(
    r"^##\[error\]|^::error\b|\bProcess completed with exit code [1-9]|\berror TS\d+: "
    r"|\bexited with (?:exit )?code [1-9]|\btest result: FAILED\b|^\s*[1-9]\d* failing\b"
    r"|^Tests:\s+(?:.*\s)?[1-9]\d* failed\b|^(?:--- )?FAIL(?:ED)?\b(?!_|-)|^not ok \d"
    r"|^Test Suites: (?:.*\s)?[1-9]\d* failed\b|^\s+[1-9]\d* failed$"
    r"|\bFailures: [1-9]|, [1-9]\d* failures?\b|^BUILD FAILED\b|^FAILURES!"
)
_ASKED_TO_END: Final = re.compile(r"\bexited with (?:exit )?code (?:130|143)\b")
_CLIENTS: Final = re.compile(
    # A server that refuses a client what it may not have, or does not know.
    r"\[error\].*(?:\(2: No such file or directory\)|\(13: Permission denied\)|\(20: Not a dir"
    r"|forbidden|is not found|was not found|too large body|no user/password was provided"
    r"|password mismatch|invalid host|limiting (?:requests|connections)).*\bclient: "
    r"|\[(?:authz_core|core|access_compat|autoindex|php)\w*:error\].*\[client "
    # Compose, which tells what it did as it was asked to.
    r"|^ *(?:Container|Network|Volume) \S+ +(?:Stopp|Remov|Kill|Creat|Start)\w+ *$"
    # Whoever looks whether a PostgreSQL is up as its own user.
    r"|\bFATAL: +(?:role|database) \"root\" does not exist"
)


# An exception with its message, or a runtime's last word: bad where no level says otherwise.
_RAISED: Final = re.compile(
    r"(?:^|[\s(\[])(?:[\w$]+[.:]+)*[A-Z][\w$]*(?:Error|Exception): \S|\bfatal error: \S|\bpanic: \S"
)


# What raised it goes on without.
_GOES_ON: Final = re.compile(r"(?i:\bfall(?:s|ing)? ?back\b|\bretr(?:y|ies)|\bignor|\bskipp)")


def is_called_bad(text: str) -> bool:
    """Whether a line says of itself that it is an error, or that something ended badly."""
    if _GATE.search(text) is None:
        return False
    level = _LEVEL.search(text, 0, _HEAD)
    if level is not None and not _MILD_BEFORE.search(text, 0, level.start()):
        return True
    raised = _RAISED.search(text[:_LONGEST])
    if raised is not None and not _MILD_BEFORE.search(text, 0, raised.start()):
        return _GOES_ON.search(text[:_LONGEST]) is None
    return _ENDED_BADLY.search(text) is not None and _ASKED_TO_END.search(text) is None


def is_clients_doing(text: str) -> bool:
    """Whether somebody asked for it: an error of the kind that clients make, or a stop."""
    return _CLIENTS.search(text) is not None
