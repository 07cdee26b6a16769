"""Signed tokens (JSON Web Tokens, HS256, RFC 7519) with nothing but the standard library."""

import base64
import binascii
import hashlib
import hmac
import json
import time

LIFETIME_SECONDS = 3600
_HEADER = {"alg": "HS256", "typ": "JWT"}


class TokenRefused(Exception):
    """The token is malformed, forged or expired; the text says which."""


class Tokens:
    """Issues and checks tokens that one secret signs."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def issue(self, user: str, lifetime: int = LIFETIME_SECONDS) -> str:
        """A token that says who the user is, good for `lifetime` seconds."""
        now = int(time.time())
        claims = {"sub": user, "iat": now, "exp": now + lifetime}
        signed = f"{_encode(_json(_HEADER))}.{_encode(_json(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def user(self, token: str) -> str:
        """The user a token was issued to; raises TokenRefused."""
        signed, _, signature = token.rpartition(".")
        # The header is never consulted: a token must not choose how it is checked.
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise TokenRefused("the token's signature does not match")
        try:
            claims = json.loads(_decode(signed.partition(".")[2]))
            user, expires = str(claims["sub"]), int(claims["exp"])
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise TokenRefused("the token has no readable claims") from error
        if expires <= time.time():
            raise TokenRefused("the token has expired")
        return user

    def _signature(self, signed: str) -> str:
        return _encode(hmac.new(self._secret, signed.encode(), hashlib.sha256).digest())


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
