"""Why credentials are refused: one exception, its codes, the challenges and the log line.

Codes are stable. Status 401 unless noted:

| code | meaning |
| --- | --- |
| `credentials_missing` | nothing that the service accepts was presented, or not all of any `accept` line |
| `credentials_malformed` | an Authorization field, or a key's place in the query, that cannot be read |
| `credentials_ambiguous` | 400: a credential presented twice |
| `credentials_differ` | 403: two keys that name different applications |
| `api_key_invalid` | not a key of any application |
| `api_key_revoked` | by an operator |
| `api_key_expired` | past its `expires` |
| `app_id_invalid` | not the id of any application |
| `app_key_invalid` | not a key of the application that the id names |
| `address_not_allowed` | 403: a key that is not for clients at this address |
| `referrer_not_allowed` | 403: a key that is not for this page |
| `token_malformed` | not a compact JWS in canonical form, or a claim of the wrong type |
| `token_header_refused` | a header parameter that is not taken: crit b64 jwk jku x5u x5c |
| `token_type_wrong` | an ID, refresh or logout token, or one that does not say that it is an access token |
| `token_bound` | bound (`cnf`) to something that is not understood, or that its provider's block does not take |
| `token_certificate_missing`, `token_certificate_wrong` | bound to a certificate that the client did not show |
| `token_not_bound` | sent by DPoP, and not bound to a key |
| `dpop_required` | bound to a key and sent as Bearer; or not bound where that is required |
| `dpop_proof_missing`, `dpop_proof_malformed` | no DPoP proof, several, or one that is none |
| `dpop_proof_wrong` | a proof for another request or token, or with a bad signature |
| `dpop_proof_stale`, `dpop_proof_replayed` | made too long ago, or used before |
| `dpop_nonce_required` | without a nonce of now, where its provider's block asks for one; the answer has one |
| `dpop_key_wrong` | by another key than the token's |
| `issuer_wrong` | not issued by a provider that the service accepts |
| `audience_missing`, `audience_wrong` | `aud` is absent, or names others |
| `token_expired`, `token_not_yet_valid` | `exp`; `nbf` or `iat` |
| `token_revoked` | the token, its session, or all that was issued before a moment was revoked here |
| `token_inactive` | the provider, which was asked, says that the token is not active |
| `subject_missing` | `sub` is absent |
| `algorithm_refused` | `alg` is not one that the issuer, or the key, may use |
| `key_unknown` | the provider publishes no such key |
| `signature_invalid` | the signature does not verify |
| `session_ended` | a session's cookie, of a session that is none (any more) |
| `sign_in_elsewhere` | the session is of a provider that the service does not accept |
| `cross_site` | 403: another site has sent what is not safe, with the session's cookie |
| `sign_in_needed` | 302: a person goes to a page, and may sign in for it |
| `identity_unavailable` | 503: the provider's keys, or its word on the token, cannot be had, so nobody can say |
| `certificate_untrusted` | the client's certificate is of no issuer that the service accepts |
| `certificate_expired`, `certificate_not_yet_valid` | by its own dates |
| `certificate_revoked` | its issuer took it back |
| `certificate_unnamed` | nothing in it names a client, or it is not the X.509-SVID that is asked for |
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

FORBIDDEN = frozenset(("credentials_differ", "address_not_allowed", "referrer_not_allowed", "cross_site"))  # 403
LOG_EVERY = 1.0  # seconds between two lines of one service and code: a flood writes one line a second


class Invalid(Exception):
    """A presented credential that must be refused. `hint` is for the operator's log, never for the client."""

    def __init__(self, code: str, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint


class InvalidToken(Invalid):
    """A token that must be refused: RFC 6750 has it told in the challenge, as this `error`."""

    error = "invalid_token"


class InvalidProof(InvalidToken):
    """A token without a good proof of possession (RFC 9449 7.1)."""

    error = "invalid_dpop_proof"


class NonceRequired(InvalidProof):
    """A proof without a nonce of now (RFC 9449 9); `nonce` is one."""

    error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("dpop_nonce_required", "the proof must have the nonce of DPoP-Nonce")
        self.nonce = nonce


def quoted(value: str) -> str:
    """A quoted-string (RFC 9110 5.6.4)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Challenges(NamedTuple):
    """What WWW-Authenticate offers for one service (RFC 9110 11.6.1, RFC 6750 3, RFC 7617 2)."""

    realm: str
    bearer: bool
    basic: bool
    certificate: bool  # in the handshake, so there is no scheme for it but its name
    places: tuple[str, ...]  # of keys elsewhere, as `header="X-Api-Key"`
    dpop: str = ""  # the algorithms of proofs, where they are taken
    bound: bool = False  # whether none but those tokens are taken
    sign_in: bool = False

    def missing(self) -> tuple[str, ...]:
        """For a request without credentials: no error is told (RFC 6750 3.1)."""
        return self._all("")

    def invalid(self, detail: str, error: str = "invalid_token", *, dpop: bool = False) -> tuple[str, ...]:
        """For a token that was presented and refused; `dpop`: it was sent by DPoP, or should have been."""
        return self._all(f', error="{error}", error_description={quoted(detail)}', dpop=dpop)

    def _all(self, error: str, *, dpop: bool = False) -> tuple[str, ...]:
        realm = f"realm={quoted(self.realm)}"
        dpop = bool(self.dpop) and (dpop or self.bound)
        offers = [f'DPoP {realm}{error}, algs="{self.dpop}"'] if dpop else []
        if self.bearer and not self.bound:
            offers.append(f"Bearer {realm}{'' if dpop else error}")
        if self.basic:
            offers.append(f'Basic {realm}, charset="UTF-8"')
        if self.sign_in:
            offers.append(f"SignIn {realm}")
        offers = offers or [f"ApiKey {realm}, {place}" for place in self.places]
        return tuple(offers or ([f"Certificate {realm}"] if self.certificate else []))


class Reporter:
    """One structured log line for a refusal, with the reason and nothing of the credential."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._spoken: dict[tuple[str, str], tuple[float, int]] = {}  # (service, code) → when, how many unsaid since

    def refused(self, service: str, code: str, detail: str, hint: str = "") -> None:
        """At most one line per LOG_EVERY for each service and code; it tells how many went unsaid."""
        now = self._clock()
        when, unsaid = self._spoken.get((service, code), (float("-inf"), 0))
        if 0 <= now - when < LOG_EVERY:
            self._spoken[service, code] = (when, unsaid + 1)
            return
        self._spoken[service, code] = (now, 0)
        extra = {"service": service, "code": code, "reason": detail, "hint": hint, "unsaid": unsaid}
        text = f"refused: {detail}; {hint}" if hint else f"refused: {detail}"
        self._log.log(logging.WARNING if hint else logging.INFO, "service %s: %s", service, text, extra=extra)
