"""Each user's conversation, newest kept, in memory."""

from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from itertools import count

KEPT_PER_USER = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a conversation; `author` is "user" or "agent"."""

    id: int
    author: str
    content: str


class Messages:
    """What was said, by user; nobody reads another's."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._by_user: defaultdict[str, deque[Message]] = defaultdict(
            lambda: deque(maxlen=KEPT_PER_USER)
        )

    def add(self, user: str, author: str, content: str) -> Message:
        """Keep a message and give it the next id."""
        message = Message(next(self._ids), author, content)
        self._by_user[user].append(message)
        return message

    def of(self, user: str) -> list[dict[str, object]]:
        """The user's messages as JSON objects, oldest first."""
        return [asdict(message) for message in self._by_user[user]]
