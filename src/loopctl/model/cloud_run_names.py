"""How long names may be on Cloud Run: facts/cloud-run.md section 1.2."""

from __future__ import annotations

import re
from typing import Final

LONGEST_TAGGED: Final = 46
"""Characters of a traffic tag and the service's name together."""

OWN_TAG: Final = re.compile(r"lc-[0-9a-f]{5}")
OWN_TAG_LENGTH: Final = len("lc-") + 5
"""The tags that loopctl gives candidates."""
