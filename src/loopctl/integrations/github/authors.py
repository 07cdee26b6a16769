"""Whether something on GitHub was written by somebody who may: marks can be copied by anyone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loopctl.integrations.github.answers import ForbiddenError
from loopctl.integrations.github.client import Repository
from loopctl.process import Stop

_TRUSTED: Final = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


class Authors:
    """Judges authors of issues and comments of one repository. For one thread.

    A public repository takes issues and comments from everybody. One with a copied mark would draw
    what is told there to itself, where its author may write it anew.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._me: str | None = None
        self._asked = False

    def may_be_ours(self, written: Mapping[str, Any], stop: Stop) -> bool:
        """An app's, that of somebody who belongs to the repository, or the token's own."""
        user = written.get("user")
        if written.get("author_association") in _TRUSTED:
            return True
        if not isinstance(user, dict):
            return False
        return user.get("type") == "Bot" or self._is_me(user.get("login"), stop)

    def _is_me(self, login: object, stop: Stop) -> bool:
        if not self._asked:
            self._asked = True
            # A token of an app, as that of a workflow, has no user to name.
            try:
                name = self._repository.get("/user", stop).object.get("login")
            except ForbiddenError:
                name = None
            self._me = name if isinstance(name, str) else None
        return self._me is not None and login == self._me
