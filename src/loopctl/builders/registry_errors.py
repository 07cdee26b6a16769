"""What a registry could not do, and what it must not do."""

from __future__ import annotations

from loopctl.errors import PortError


class RegistryError(PortError):
    """The registry could not do what was asked; its contents are not at fault."""


class RegistryGoneError(RegistryError):
    """No registry answers there, or it answers that it cannot just now, again and again."""


class RegistryRefusedError(RegistryError):
    """The registry answered, and said that one may not."""


class NotInRegistryError(RegistryError):
    """The registry has nothing of that digest."""


class UnreadableError(RegistryError):
    """What the digest names is no image that can be read here, or is not all there."""


class NotAsNamedError(RegistryError):
    """What came is not what its digest names: nothing of it may be used."""
