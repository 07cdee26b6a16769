"""Which variables hold secrets, by their names and by what their values look like."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY|SIGNING|JWT"
    r"|(?:^|_)KEY$|(?:^|_)DSN$|_PAT$|(?:^|_)SALT$|DATABASE_URL|CONNECTION_STRING"
)
_NOT: Final = re.compile(
    r"PUBLIC|EXPIR|TTL|LIFETIME|MAX_|_MAX|ALGORITHM|_FILE$|_PATH$|_DIR$|_NAME$|_ID$|_HEADER$|_URL$"
)
_VALUE: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|-----BEGIN|^(?:sk|ghp|gho|xox[bp]|AKIA|eyJ)[-_A-Za-z0-9]"
    r"|^[A-Za-z0-9+/_=-]{32,}$"
)
_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:([^/\s:@]*)(?::[^/\s@]*)?@)?([\w.-]+(?::\d+)?)((?:[/?].*)?)"
)
_COMPOSED: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([^/\s:@${}]*):\$\{([A-Za-z_]\w*)(:?[-?][^${}]*)?\}"
    r"@([\w.-]+(?::\d+)?)((?:[/?][^\s${}]*)?)",
    re.ASCII,
)
DEVELOPMENT: Final = "only-for-development-and-no-secret-0123456789"


def is_secret_name(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    if name.endswith("DATABASE_URL"):
        return True
    return _NAME.search(name) is not None and _NOT.search(name) is None


def is_secret_value(value: str) -> bool:
    """Whether a value looks like one: a URL with a password, a key."""
    return _VALUE.search(value) is not None


def development_value(known: str | None, host: str | None = None) -> str:
    """What stands for a secret on a developer's machine: never what the repository has.

    Of a URL the password is left away, so that it is still one; `host` is where it leads instead.
    """
    found = _URL.fullmatch(re.sub(r"\$\{[^{}]*\}|\$\w+", "", known or ""))
    if found is None:
        return DEVELOPMENT
    scheme, user, named, rest = found.groups()
    url = f"{scheme}://{f'{user}@' if user else ''}{host or named}{rest}"
    return url if re.fullmatch(r"[\w:/@.,?&=+%~-]+", url) else DEVELOPMENT


def composed_url(known: str, host: str | None) -> str | None:
    """A URL whose password is a variable, in the loop file's form; None where it is another thing.

    It holds no secret then: the variable does.
    """
    found = _COMPOSED.fullmatch(known)
    if found is None:
        return None
    scheme, user, name, _, named, rest = found.groups()
    if not re.fullmatch(r"[\w:/@.,?&=+%~-]*", f"{user}{named}{rest}"):
        return None
    return f"{scheme}://{user}:${{{name}:-{DEVELOPMENT}}}@{host or named}{rest}"
