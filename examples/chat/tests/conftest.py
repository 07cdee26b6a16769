"""Where the service under test is; set BASE_URL and WS_URL to point the suites elsewhere."""

import os
from collections.abc import Iterator

import pytest
from chat_client import Chat


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A client that has not spoken to the service yet: every test makes contact itself."""
    base = os.environ.get("BASE_URL", "http://127.0.0.1:8080")
    client = Chat(base, os.environ.get("WS_URL", base.replace("http", "ws", 1)))
    yield client
    client.close()
