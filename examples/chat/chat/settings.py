"""What the service is told by its environment, read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field


class SettingsError(Exception):
    """The environment does not say what the service must know; the text names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The Cloud Run container contract (PORT, K_REVISION) plus what this service needs."""

    host: str
    port: int
    revision: str
    log_level: str
    jwt_secret: str = field(repr=False)


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError, which never quotes the value of a secret."""
    port = env.get("PORT", "8080")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"PORT must be a number from 1 to 65535, not {port!r}")
    level = env.get("LOG_LEVEL", "info").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"LOG_LEVEL must be debug, info, warning or error, not {level!r}")
    secret = env.get("JWT_SECRET", "")
    if not secret:
        raise SettingsError("JWT_SECRET is required: tokens cannot be signed without it")
    return Settings(
        host=env.get("HOST", "127.0.0.1"),
        port=int(port),
        revision=env.get("K_REVISION", "dev"),
        log_level=level,
        jwt_secret=secret,
    )
