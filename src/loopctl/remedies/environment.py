"""What a remedy's command finds in its environment: little, and no cloud credentials.

Nothing is inherited but the names below. Tools look for credentials under HOME too, which a
command needs for much else: they are led to a folder with nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"},
)
_LOCALE = "LC_"

# Where each tool looks instead of its folder below HOME. gcloud and Google's Python and Java
# libraries follow CLOUDSDK_CONFIG (google/auth/_cloud_sdk.py), kubectl a path to a file.
_FOLDERS = ("CLOUDSDK_CONFIG", "DOCKER_CONFIG", "AZURE_CONFIG_DIR")
_FILES = ("KUBECONFIG", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "BOTO_CONFIG")

# A machine in a cloud hands its own credentials to whoever asks its metadata server.
_NO_METADATA = {"NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}


def remedy_environment(
    environ: Mapping[str, str], variables: Mapping[str, str], nothing: Path
) -> dict[str, str]:
    """The allow-listed part of `environ`, and the contract's `variables` on top.

    `nothing` is an empty folder, private to the user, for whoever looks for credentials.
    """
    inherited = {
        name: value
        for name, value in environ.items()
        if name in INHERITED or name.startswith(_LOCALE)
    }
    led_away = {name: str(nothing) for name in _FOLDERS}
    led_away |= {name: str(nothing / name.lower()) for name in _FILES}
    return {**inherited, **led_away, **_NO_METADATA, **variables}
