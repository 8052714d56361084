"""Redis and Valkey: keys, connections, checks, and the embedded server."""


class StoreError(Exception):
    """The store cannot be used. The message says why and what cures it, and holds no secret."""


class StoreAway(StoreError):
    """The store does not answer; it may be fit when it does."""
