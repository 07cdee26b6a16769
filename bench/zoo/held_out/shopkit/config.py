"""Where the tests find what they test."""

from __future__ import annotations

import os

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080").rstrip("/")
WS_URL = os.environ.get("WS_URL", "ws://127.0.0.1:8080").rstrip("/")
GRPC_ADDRESS = os.environ.get("GRPC_ADDRESS", "127.0.0.1:50051")
PASSWORDS = {"alice": "wonderland", "bob": "builder", "root": "toor"}
