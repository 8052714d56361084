"""How the development provider refuses."""

from __future__ import annotations


class OAuthError(Exception):
    """An error response of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, challenge: str | None = None) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.challenge = challenge
