"""What loopctl never does without a person, whatever a rule or a signature says. Pure.

Each line is a rule with its reason; all are asked right before a remedy is carried out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from loopctl.inert import one_line

KNOWN_ACTIONS: Final = frozenset({"rebuild", "retry", "rollback", "run", "raise-memory", "wait"})
"""All that loopctl can do at all; none of it touches secrets, IAM, networks or databases."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A remedy that is about to be carried out.

    `on` is a digest of the sources that it would be done on, empty where nobody knows them; of a
    command they are told once its work tree was read. `failed` are the remedies that did not
    mend, of this run and of others today, as (action, service, cause, `on`); `cause` is what asks
    for this one. `schema` tells why a way back may lead over a change of the schema, `unverified`
    why there is nothing verified to go back to.
    """

    action: str
    cause: str = ""
    service: str | None = None
    on: str = ""
    command: tuple[str, ...] = ()
    protected: bool = False
    failed: Sequence[tuple[str, str | None, str, str]] = ()
    schema: str | None = None
    unverified: str | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """One line of the list: its name, what it keeps from being done, and why."""

    name: str
    forbids: str
    why: str
    applies: Callable[[Asked], str | None]


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A line that applies, and to what."""

    rule: Never
    what: str

    def __str__(self) -> str:
        return f"{self.rule.forbids} is never automatic ({self.what}): {self.rule.why}"


def never(asked: Asked) -> Forbidden | None:
    """The first line of the list that forbids it; None: it may be done."""
    found = ((rule, rule.applies(asked)) for rule in NEVER)
    return next((Forbidden(rule, what) for rule, what in found if what is not None), None)


_Words = tuple[str, ...]

_PROMOTES: Final[tuple[_Words, ...]] = (
    ("gcloud", "update-traffic"),
    ("gcloud", "run", "deploy"),
    ("gcloud", "run", "services", "replace"),
    ("gcloud", "run", "services", "update"),
    ("gcloud", "app", "deploy"),
    ("loopctl", "run"),
    ("loopctl", "resume"),
    ("loopctl", "rollback"),
    ("kubectl", "apply"),
    ("kubectl", "rollout"),
    ("kubectl", "set"),
    ("helm", "upgrade"),
    ("helm", "install"),
)
_SECRETS: Final[tuple[_Words, ...]] = (
    ("gcloud", "secrets"),
    ("gcloud", "--set-secrets"),
    ("gcloud", "--update-secrets"),
    ("gcloud", "--remove-secrets"),
    ("gcloud", "kms"),
    ("aws", "secretsmanager"),
    ("aws", "ssm", "put-parameter"),
    ("aws", "kms"),
    ("az", "keyvault"),
    ("kubectl", "secret"),
    ("gh", "secret"),
    ("vault",),
)
_IAM: Final[tuple[_Words, ...]] = (
    ("gcloud", "iam"),
    ("gcloud", "add-iam-policy-binding"),
    ("gcloud", "remove-iam-policy-binding"),
    ("gcloud", "set-iam-policy"),
    ("gcloud", "--allow-unauthenticated"),
    ("gsutil", "iam"),
    ("aws", "iam"),
    ("az", "role"),
    ("az", "ad"),
    ("kubectl", "rolebinding"),
    ("kubectl", "clusterrolebinding"),
)
_NETWORK: Final[tuple[_Words, ...]] = (
    ("gcloud", "compute"),
    ("gcloud", "dns"),
    ("gcloud", "domain-mappings"),
    ("gcloud", "vpc-access"),
    ("gcloud", "--vpc-connector"),
    ("gcloud", "--ingress"),
    ("aws", "ec2"),
    ("aws", "route53"),
    ("az", "network"),
    ("kubectl", "networkpolicy"),
    ("docker", "network"),
    ("iptables",),
    ("nft",),
    ("ufw",),
)
_DATABASES: Final[tuple[_Words, ...]] = (
    ("gcloud", "sql"),
    ("gcloud", "spanner"),
    ("gcloud", "firestore"),
    ("gcloud", "redis"),
    ("gcloud", "alloydb"),
    ("aws", "rds"),
    ("aws", "dynamodb"),
    ("az", "sql"),
    *((name,) for name in ("psql", "pg_restore", "dropdb", "createdb", "mysql", "mariadb")),
    *((name,) for name in ("sqlite3", "redis-cli", "mongosh", "mongo", "clickhouse-client")),
    *((name,) for name in ("alembic", "flyway", "liquibase")),
    ("prisma", "migrate"),
    ("manage.py", "migrate"),
    ("manage.py", "flush"),
    ("rails", "db:migrate"),
    ("rake", "db:migrate"),
)
_DELETES: Final[tuple[_Words, ...]] = (
    ("gcloud", "delete"),
    ("loopctl", "down"),
    ("loopctl", "unlock"),
    ("kubectl", "delete"),
    ("helm", "uninstall"),
    ("terraform", "destroy"),
    ("terraform", "apply"),
    ("pulumi", "up"),
    ("pulumi", "destroy"),
    ("docker", "rm"),
    ("docker", "rmi"),
    ("docker", "prune"),
)
_RELAXED: Final = re.compile(
    r"--(?:tolerance|maxfail|deselect|ignore|continue-on-collection-errors|retries|reruns)\b.*"
)
_MOCKS: Final = re.compile(
    r"(?i)(?:--?[\w-]*mock[\w-]*(?:=.*)?|[A-Z0-9_]*MOCK[A-Z0-9_]*=(?!0$|false$|no$|off$|$).+)"
)
_TEST_RUNNERS: Final = frozenset({"pytest", "py.test", "loopctl", "tox", "nox"})
_WRAPPERS: Final = frozenset(
    {
        *("sudo", "env", "nice", "time", "timeout", "xargs", "exec", "nohup"),
        *("python", "python3", "uv", "poetry", "npx", "pipx", "run"),
    }
)
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_BETWEEN: Final = re.compile(r"&&|\|\||[;|&\n]|\$\(|[()`]")
_TOLD: Final = re.compile(r"[A-Za-z_]\w*=.*|-.*|\d+[smhd]?", re.DOTALL)


def _commands(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The single commands that a remedy's words name outright, those of a shell's line too."""
    program = PurePosixPath(words[0]).name if words else ""
    if program in _SHELLS:
        lines = (line for flag, line in pairwise(words) if _runs_a_line(flag))
        for part in (part for line in lines for part in _BETWEEN.split(line)):
            yield from _commands(_split(part))
        return
    yield tuple(words)
    # Of a wrapper, and of what it was told, the program that it starts comes later.
    told = bool(words) and bool(_TOLD.fullmatch(words[0]))
    if told or program in _WRAPPERS:
        yield from _commands(words[1:])


def _runs_a_line(flag: str) -> bool:
    return flag.startswith("-") and not flag.startswith("--") and "c" in flag


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _names(table: Sequence[_Words]) -> Callable[[Asked], str | None]:
    """Whether a command names one of these: its program, then the other words in any order."""

    def applies(asked: Asked) -> str | None:
        for command in _commands(asked.command):
            program = PurePosixPath(command[0]).name if command else ""
            given = {word.partition("=")[0] for word in command[1:]}
            for first, *rest in table:
                if program == first and given.issuperset(rest):
                    return one_line(shlex.join(command), 120)
        return None

    return applies


def _any_word(
    pattern: re.Pattern[str], programs: frozenset[str] | None = None
) -> Callable[[Asked], str | None]:
    def applies(asked: Asked) -> str | None:
        for command in _commands(asked.command):
            program = PurePosixPath(command[0]).name if command else ""
            if programs is not None and program not in programs:
                continue
            wrong = next((word for word in command if pattern.fullmatch(word)), None)
            if wrong is not None:
                return one_line(wrong, 120)
        return None

    return applies


def _promotes(asked: Asked) -> str | None:
    if asked.protected and asked.action == "raise-memory":
        return "more memory than the loop file names"
    return _names(_PROMOTES)(asked)


def _just_failed(asked: Asked) -> str | None:
    for action, service, cause, on in asked.failed:
        # Sources that nobody knows count as the same ones: nothing shows that they are others.
        if (action, service, cause, on) == (asked.action, asked.service, asked.cause, asked.on):
            return f"{action} did not mend it before"
    return None


NEVER: Final[tuple[Never, ...]] = (
    Never(
        "unknown-action",
        "an action that loopctl does not know",
        "nothing says what it would do",
        lambda a: None if a.action in KNOWN_ACTIONS else one_line(a.action, 40),
    ),
    Never(
        "protected-promotion",
        "promotion to an environment that may be protected",
        "only a run that a person has confirmed takes traffic there",
        _promotes,
    ),
    Never("secrets", "a change of secrets", "it is a person's to answer for", _names(_SECRETS)),
    Never("iam", "a change of permissions", "it is a person's to answer for", _names(_IAM)),
    Never("networking", "a change of networks", "others depend on them", _names(_NETWORK)),
    Never(
        "databases",
        "work on a database",
        "data that is lost comes back by no revision",
        _names(_DATABASES),
    ),
    Never(
        "relaxed-judgement",
        "relaxing a test, a tolerance or a health rule",
        "what judges would prove nothing any more",
        _any_word(_RELAXED, _TEST_RUNNERS),
    ),
    Never("mocks", "enabling mocks", "passes against a mock prove nothing", _any_word(_MOCKS)),
    Never(
        "deleted-revisions",
        "deleting what is deployed",
        "it may be what users go back to",
        _names(_DELETES),
    ),
    Never(
        "unverified-rollback",
        "going back to what no green run has verified",
        "nobody knows that it works",
        lambda a: a.unverified if a.action == "rollback" else None,
    ),
    Never(
        "schema-change",
        "going back over a change of the schema",
        "older code may not know the newer data",
        lambda a: a.schema if a.action == "rollback" else None,
    ),
    Never(
        "just-failed",
        "a second remedy of a kind that just failed",
        "it would hide what is wrong",
        _just_failed,
    ),
)
