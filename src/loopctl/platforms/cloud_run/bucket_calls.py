"""The calls of Google's storage client that loopctl makes: each one request, never repeated here.

Importing this takes half a second: it is imported by the first call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials, Credentials, with_scopes_if_required
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Client

from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_errors import said
from loopctl.platforms.cloud_run.bucket_objects import BucketError, Listed, Page, Stored
from loopctl.platforms.cloud_run.credentials import own_credentials
from loopctl.platforms.cloud_run.door import Door, door_of

EMULATOR: Final = "STORAGE_EMULATOR_HOST"
_SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_write",)
_PAGE: Final = 1000
_FIELDS: Final = "items(name,size),nextPageToken"


class Calls:
    """The calls on one place's objects. Everything Google's client raises comes through."""

    def __init__(
        self,
        place: BucketPlace,
        who: Callable[[], Credentials] | None,
        note: Callable[..., None],
    ) -> None:
        self.place = place
        self._client = _client(who, note)

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def look(self, name: str, timeout: float) -> tuple[Stored, int] | None:
        """An object's state and its bytes; None where there is none."""
        blob = self._blob(name)
        try:
            blob.reload(timeout=timeout, retry=None)
        except NotFound as error:
            _raise_if_no_bucket(error)
            return None
        return _stored(blob), int(blob.size or 0)

    def fetch(self, name: str, generation: int | None, timeout: float) -> bytes | None:
        """What that generation of an object holds, the newest if None; None where there is none."""
        # A blob of its own: the link that metadata bring need not lead through the same door.
        blob = self._blob(name, generation)
        try:
            return bytes(blob.download_as_bytes(timeout=timeout, retry=None))
        except NotFound as error:
            _raise_if_no_bucket(error)
            return None

    def put(self, name: str, data: bytes, generation: int, timeout: float) -> Stored | None:
        """Write on that generation; None where another one stands there."""
        blob = self._blob(name)
        blob.cache_control = "no-store"
        try:
            blob.upload_from_string(
                data,
                content_type="application/json",
                if_generation_match=generation,
                timeout=timeout,
                retry=None,
            )
        except PreconditionFailed:
            return None
        return _stored(blob)

    def drop(self, name: str, generation: int, timeout: float) -> bool:
        """Remove that generation; false where another one stands there."""
        try:
            self._blob(name).delete(if_generation_match=generation, timeout=timeout, retry=None)
        except PreconditionFailed:
            return False
        except NotFound as error:
            _raise_if_no_bucket(error)
        return True

    def page(self, folder: str, start: str, token: str | None, timeout: float) -> Page:
        """The objects right below `folder/`, from `start` on, after `token`."""
        below = self._full(f"{folder}/")
        found = self._client.list_blobs(
            self.place.bucket,
            prefix=below,
            delimiter="/",
            start_offset=below + start if start else None,
            fields=_FIELDS,
            page_size=_PAGE,
            page_token=token,
            timeout=timeout,
            retry=None,
        )
        page = next(found.pages, ())
        listed = tuple(Listed(blob.name.removeprefix(below), blob.size or 0) for blob in page)
        return Page(listed, found.next_page_token)

    def _blob(self, name: str, generation: int | None = None) -> Any:
        return self._client.bucket(self.place.bucket).blob(self._full(name), generation=generation)

    def _full(self, name: str) -> str:
        return f"{self.place.prefix}/{name}".lstrip("/")


def _client(who: Callable[[], Credentials] | None, note: Callable[..., None]) -> Client:
    """A client whose answers `note` sees."""
    door = door_of(os.environ.get(EMULATOR))
    session = AuthorizedSession(_credentials(who, door))
    session.hooks["response"].append(note)
    if door is not None and door.loopback:
        session.trust_env = False  # a proxy does not reach this machine's own services
    # The client would take the variable as it stands, and fail where it has no scheme.
    options = {"api_endpoint": door.url} if door is not None else None
    client = Client(
        project=None, credentials=session.credentials, client_options=options, _http=session
    )
    # Else it asks for the bucket itself, in a thread of its own and for up to two minutes, to tell
    # a tracer that is not there. Its variable against that would reach our children too.
    client._bucket_metadata_cache = None
    return client


def _credentials(who: Callable[[], Credentials] | None, door: Door | None) -> Credentials:
    if door is not None:
        return AnonymousCredentials()
    scoped: Credentials = with_scopes_if_required(who() if who else own_credentials(None), _SCOPES)
    return scoped


def _stored(blob: Any) -> Stored:
    if not blob.generation or blob.updated is None:
        what = "the server does not tell when an object was written, and as which generation"
        raise BucketError(what, where=blob.name, hint=None)
    return Stored(int(blob.generation), blob.updated)


def _raise_if_no_bucket(error: NotFound) -> None:
    """Raises the error again where it is the bucket that does not exist."""
    if "bucket does not exist" in said(error).lower():
        raise error
