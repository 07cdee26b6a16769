"""The questions that a diagnosis adds to a signature's own: what asks them and what reports them
use the same words.
"""

from typing import Final

SAID_FIRST: Final = "What did its log say first that no green run had said?"
WHAT_CHANGED: Final = "What changed since the last green run?"
WHICH_CHANGED: Final = "Which of that stands in the evidence?"
WHOSE: Final = "Whose failure is it?"
