"""What Google's storage client raises, in one line, with the command that mends it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Final

import google.auth.exceptions
import requests.exceptions
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.storage.exceptions import DataCorruption

from loopctl.inert import one_line
from loopctl.platforms.cloud_run.bucket_objects import BucketError
from loopctl.platforms.cloud_run.credentials import LOG_IN
from loopctl.ports.platform import PlatformError

_LONGEST: Final = 300
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What Google says to try again: cloud.google.com/storage/docs/retry-strategy."""

_CALLER: Final = re.compile(r"([\w.+-]+@[\w.-]+) does not have (storage\.[\w.]+)")
_DISABLED: Final = re.compile(r"has not been used in project (\S+) before or it is disabled")


@contextlib.contextmanager
def translated(doing: str, bucket: str, where: str) -> Iterator[None]:
    """Everything that the storage client raises becomes a `BucketError`: `cannot DOING: …`."""
    try:
        yield
    except GoogleAPICallError as error:
        raise _of_answer(error, doing, bucket, where) from None
    except DataCorruption as error:
        what = f"cannot {doing}: it arrived damaged: {_line(error)}"
        raise BucketError(what, where=where, hint="run again", passing=True) from None
    except google.auth.exceptions.TransportError as error:
        raise _unreachable(error, doing, where) from None
    except google.auth.exceptions.GoogleAuthError as error:
        what = f"cannot {doing}: the credentials are refused: {_line(error)}"
        raise BucketError(what, where=where, hint=LOG_IN, status=401) from None
    except PlatformError as error:
        raise BucketError(f"cannot {doing}: {error.what}", where=where, hint=error.hint) from None
    except (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise _unreachable(error, doing, where) from None


def _of_answer(error: GoogleAPICallError, doing: str, bucket: str, where: str) -> BucketError:
    status = int(error.code or 0)
    told = one_line(said(error), limit=_LONGEST)
    return BucketError(
        f"cannot {doing}: {told} ({status})",
        where=where,
        hint=_mended_by(status, told, bucket),
        status=status,
        passing=status in _PASSING,
    )


def said(error: GoogleAPICallError) -> str:
    """Google's own words: the client puts the request before them, and its guesses behind."""
    response: Any = error.response
    if response is not None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(response.json()["error"]["message"])
        if response.text:
            return str(response.text)
    return str(error.message or error)


def _mended_by(status: int, told: str, bucket: str) -> str | None:
    if status == 401:
        return LOG_IN
    if status == 404:
        return f"gcloud storage buckets create gs://{bucket}, or mend `history`"
    if status in _PASSING:
        return "wait a little, then run again"
    if status != 403:
        return None
    if disabled := _DISABLED.search(told):
        return f"gcloud services enable storage.googleapis.com --project {disabled[1]}"
    if "retention policy" in told:
        return "name a bucket in `history` in which objects may be replaced"
    caller = _CALLER.search(told)
    if caller is None and "nonymous" in told:
        return LOG_IN
    return (
        f"gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        f"--member={_member(caller[1] if caller else None)} --role=roles/storage.objectUser"
    )


def _member(caller: str | None) -> str:
    if caller is None:
        return "PRINCIPAL"
    kind = "serviceAccount" if caller.endswith("gserviceaccount.com") else "user"
    return f"{kind}:{caller}"


def _unreachable(error: BaseException, doing: str, where: str) -> BucketError:
    return BucketError(
        f"cannot {doing}: Cloud Storage does not answer: {_line(error)}",
        where=where,
        hint="see that this machine reaches storage.googleapis.com (or STORAGE_EMULATOR_HOST)",
        passing=True,
    )


def _line(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__, limit=_LONGEST)
