"""What answers must look like: small validators by hand, no library."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

MONEY: Schema = {"cents": int, "currency": str}
PRODUCT: Schema = {
    "sku": str,
    "name": str,
    "category": str,
    "price": MONEY,
    "stock": int,
    "tags": [str],
}
ORDER: Schema = {
    "id": str,
    "user": str,
    "status": str,
    "total_cents": int,
    "lines": [{"sku": str, "quantity": int}],
}


def problems(value: Any, schema: Any, where: str = "$") -> list[str]:
    """Everything in `value` that is not as `schema` says; an empty list when it fits."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{where}: an object was expected, not {type(value).__name__}"]
        missing = [f"{where}.{key}: missing" for key in schema if key not in value]
        inner = [
            problem
            for key in schema
            if key in value
            for problem in problems(value[key], schema[key], f"{where}.{key}")
        ]
        return missing + inner
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{where}: a list was expected, not {type(value).__name__}"]
        return [
            problem
            for index, one in enumerate(value)
            for problem in problems(one, schema[0], f"{where}[{index}]")
        ]
    if not isinstance(value, schema) or (schema is int and isinstance(value, bool)):
        return [f"{where}: {schema.__name__} was expected, not {value!r}"]
    return []


def is_valid(value: Any, schema: Schema) -> bool:
    """Whether it fits."""
    return not problems(value, schema)


class SoftChecks:
    """Collects what is wrong, so that one run shows all of it; `verify` raises."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def equal(self, seen: Any, expected: Any, what: str) -> None:
        """Note when the two differ."""
        if seen != expected:
            self.failed.append(f"{what}: {seen!r}, not {expected!r}")

    def verify(self) -> None:
        """Raise when anything was noted."""
        assert not self.failed, "; ".join(self.failed)
