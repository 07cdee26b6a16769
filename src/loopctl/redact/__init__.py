"""Keeps secret values out of every file, terminal and message that loopctl writes.

`Secret` carries a value that cannot be printed by accident. `Redactor` finds values in text,
in all the encodings that programs are seen to log them in, and puts `[redacted:NAME]` there.
"""

from loopctl.redact.learned import Learned
from loopctl.redact.redactor import Redactor
from loopctl.redact.secret import Secret, keyed_hash
from loopctl.redact.stream import StreamRedactor

__all__ = ["Learned", "Redactor", "Secret", "StreamRedactor", "keyed_hash"]
