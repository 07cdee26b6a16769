"""What a service is told by its environment, as Cloud Run's container contract has it. Pure."""

from __future__ import annotations


def told(service: str, revision: str, port: int) -> dict[str, str]:
    """The variables that the platform adds to a service's own."""
    return {
        "PORT": str(port),
        "K_SERVICE": service,
        "K_REVISION": revision,
        "K_CONFIGURATION": service,
    }
