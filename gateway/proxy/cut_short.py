"""How a connection with TLS may end; a file of its own, as what extends an OSError cannot be compiled."""


class CutShortError(ConnectionError):
    """The connection ended and the peer had not said so in TLS: who knows what is missing (RFC 9112 9.8)."""
