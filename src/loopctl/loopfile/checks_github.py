"""Checks `github`: which environments it names, where its token comes from and goes to."""

from __future__ import annotations

from loopctl.loopfile.marks import near, quoted
from loopctl.loopfile.nodes import Origin, Scalar, Table
from loopctl.loopfile.problems import Problems
from loopctl.model.addresses import keeps_secrets

_REFERENCE = 'token: "${GITHUB_TOKEN:-}"'


def check_github(lenient: Table, problems: Problems) -> None:
    """The key as it is written, in the file for all environments."""
    token = lenient.scalar("github", "token")
    if token is not None and token.origin is Origin.WRITTEN and token.text.strip():
        problems.add(token.mark, '"token" is written out here, for all who read this', _REFERENCE)
    api = lenient.scalar("github", "api")
    if api is not None and not keeps_secrets(api.text):
        problems.add(api.mark, '"api" would send the token where there is no TLS', "https://…")
    _check_environments(lenient, problems)


def _check_environments(lenient: Table, problems: Problems) -> None:
    known = [entry.key for entry in lenient.table("environments").named()] or ["local"]
    for item in lenient.items("github", "environments"):
        if isinstance(item, Scalar) and item.origin is Origin.WRITTEN and item.text not in known:
            hint = near(item.text, known) or f"there is {', '.join(map(quoted, known[:10]))}"
            problems.add(item.mark, f"there is no environment {quoted(item.text)}", hint)
