"""One point of a look at what an environment needs, as `doctor` tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """`said` is what was found, `hint` how to get what is missing.

    `where` is the address of what does not answer, where that is the point. `known` False: it
    cannot be told from here, which is no fault; `said` tells why.
    """

    name: str
    ok: bool
    said: str
    hint: str | None = None
    where: str | None = None
    known: bool = True

    @classmethod
    def unknown(cls, name: str, why: str, hint: str | None = None) -> Found:
        """What cannot be told from here."""
        return cls(name, ok=True, said=f"cannot be told: {why}", hint=hint, known=False)
