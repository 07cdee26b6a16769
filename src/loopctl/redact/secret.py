"""A value that shows its name instead of itself."""

import hashlib
import hmac
from typing import Final, NoReturn, Self, final


@final
class Secret:
    """A secret string that shows as `Secret(NAME)` in repr, str, format and tracebacks.

    It is not a `str`, so `json.dumps` refuses it; pickle is refused too. Copies are the same
    object, so `dataclasses.asdict` keeps it wrapped. Only `reveal` gives the value.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name: Final = name
        self._value: Final = value

    def reveal(self) -> str:
        """The value itself, for the one place that hands it to the service."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        """Compares values in constant time, and only with another Secret."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_exact_bytes(self._value), _exact_bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self!r} must not be pickled: pass what reveal() gives, where it is due")


def keyed_hash(key: bytes, text: str) -> str:
    """HMAC-SHA256 of text as 64 hex digits.

    Configuration is compared between runs by this: a plain hash of a short value could be
    guessed from a report, this one only by who has the key.
    """
    return hmac.new(key, _exact_bytes(text), hashlib.sha256).hexdigest()


def _exact_bytes(text: str) -> bytes:
    # Environment variables may hold lone surrogates (PEP 383), which strict UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")
