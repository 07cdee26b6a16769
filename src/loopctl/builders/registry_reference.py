"""Names of images in registries. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loopctl.engine.registry import is_loopback

_HUB: Final = "docker.io"
_HUB_NAMES: Final = (_HUB, "index.docker.io", "registry-1.docker.io")
_HUB_API: Final = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by its digest. `host` is the registry as logins know it, `host[:port]`."""

    host: str
    repository: str
    digest: str

    @property
    def location(self) -> str:
        """As it is deployed: `host/repository@digest`."""
        return f"{self.host}/{self.repository}@{self.digest}"

    @property
    def root(self) -> str:
        """The URL of its repository in the distribution API, without a slash at the end."""
        scheme = "http" if is_loopback(self.host) else "https"
        api = _HUB_API if self.host == _HUB else self.host
        return f"{scheme}://{api}/v2/{self.repository}"


def reference_of(image: str) -> Reference:
    """Reads `repository[:tag]@sha256:…` as docker does: without a host it is Docker Hub's.

    A tag beside the digest says nothing and is left out.
    """
    name, _, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, repository = first, rest
    else:
        host, repository = _HUB, name
    head, above, last = repository.rpartition("/")
    repository = f"{head}{above}{last.partition(':')[0]}"
    host = _HUB if host in _HUB_NAMES else host
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Reference(host, repository, digest)
