"""What it means that a store, or a Sentinel, cannot be asked: a cure where there is one, else that it is away."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import AuthenticationError, NoPermissionError

from gateway.model import Store
from gateway.store import StoreAway, StoreError

GATEWAY_CERTIFICATE = ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "HANDSHAKE_FAILURE")


def explain(error: BaseException | None, store: Store, *, whom: str = "store") -> StoreError:
    """A StoreError that waiting does not cure, or a StoreAway. `whom`: `sentinel` for what a Sentinel said."""
    text = ""
    for cause in _causes(error):
        if isinstance(cause, StoreError):
            return cause
        text = text or str(cause)
        if cure := _cure(cause, whom):
            return StoreError(f"the {whom} cannot be asked: {_plain(cause)}; {cure}")
    return StoreAway(f"the {whom} cannot be asked: {text or 'no answer in time'}{_hint(error, text, store)}")


def _cure(error: BaseException, whom: str) -> str | None:
    text = str(error)
    if isinstance(error, AuthenticationError):
        prefix = "sentinel_" if whom == "sentinel" else ""
        return f"set store.{prefix}password, and store.{prefix}username for a user of its ACL"
    if isinstance(error, NoPermissionError):
        return "give its user the rights that docs/operations.md tells"
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "use a name that is in its certificate, or have the certificate name this address"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "set store.ca to the certificates of the CA that signed its certificate"
    if any(word in text for word in GATEWAY_CERTIFICATE):
        return "set store.cert and store.key to a certificate that it trusts"
    return None


def _plain(error: BaseException) -> str:
    """Without OpenSSL's way of saying where in its source."""
    return str(error).partition(" (_ssl.c")[0].rstrip(".")


def _hint(error: BaseException | None, text: str, store: Store) -> str:
    encrypted = store.tls or (store.url or "").startswith("rediss:")
    if "reset" not in text and "closed" not in text and "imeout" not in type(error).__name__:
        return ""
    if encrypted:
        return " (does it speak TLS there, and does it ask for a certificate, store.cert?)"
    return (
        "" if (store.url or "").startswith("unix:") else " (does it speak TLS there? Then write rediss:// or tls: true)"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """From the outside in; redis-py also wraps by an argument."""
    while error is not None:
        yield error
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = error.__cause__ or inner
