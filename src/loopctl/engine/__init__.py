"""The Docker engine: the only room that knows its SDK, or speaks its HTTP API.

What builds images and what runs containers both need an engine, and neither sees the other; so the
engine stands below both. Everything here raises `EngineError` alone, and waits by a `Stop`.
"""
