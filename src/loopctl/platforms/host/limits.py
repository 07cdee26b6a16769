"""How long a host waits before it ends things; tests alone make it shorter."""

from __future__ import annotations

import os
from typing import Final

#: For tests alone: seconds without a lease after which a host ends.
LAPSE_VARIABLE: Final = "LOOPCTL_HOST_LAPSE_SECONDS"
#: For tests alone: seconds between SIGTERM and SIGKILL.
GRACE_VARIABLE: Final = "LOOPCTL_HOST_GRACE_SECONDS"


def lapse_s() -> float:
    """Seconds for which services outlive the last lease: fifteen minutes."""
    return float(os.environ.get(LAPSE_VARIABLE, "900"))


def grace_s() -> float:
    """Seconds that a service has to end after SIGTERM: ten, as on Cloud Run."""
    return float(os.environ.get(GRACE_VARIABLE, "10"))
