"""Every refusal and failure: one tree; each class has its status, code and title (RFC 9457)."""

from __future__ import annotations

from gateway.model import Outcome, Service

USUAL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"  # the methods that Allow names


class GatewayError(Exception):
    """Ends a request with `status`. `code` is stable for programs, `detail` is for people and holds no secret."""

    status = 500
    code = "internal_error"
    title = "Internal error"
    application: str | None = None  # whose request it was, where that is known
    plan: str | None = None
    retry_after: int | None = None  # seconds, where trying again may help
    service: Service | None = None  # whose request it was, where no rule matched
    challenges: tuple[str, ...] = ()  # values of WWW-Authenticate, where other credentials may help

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class BadRequest(GatewayError):
    """The request is not one that HTTP allows, or is ambiguous."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class HttpsRequired(GatewayError):
    """The listener serves nobody; it sends them to `location` (RFC 9110 15.4.9)."""

    status = 308
    code = "https_required"
    title = "Permanent redirect"

    def __init__(self, location: str) -> None:
        super().__init__("this address is served by https")
        self.location = location


class ServerOptions(GatewayError):
    """`OPTIONS *`: the gateway itself is asked, and not a service (RFC 9110 9.3.7)."""

    status = 200
    code = "server_options"
    title = "OK"


class SignInNeeded(GatewayError):
    """A person without a session, sent to where one can be had (RFC 9110 15.4.3; after a form, 15.4.4)."""

    status = 302
    code = "sign_in_needed"
    title = "Found"

    def __init__(self, location: str, *, see_other: bool = False) -> None:
        super().__init__("people sign in first")
        self.location = location
        if see_other:
            self.status, self.title = 303, "See other"


class MethodNotAllowed(GatewayError):
    """Nothing here is asked with this method (RFC 9110 15.5.6)."""

    status = 405
    code = "method_refused"
    title = "Method not allowed"


class RequestTimeout(GatewayError):
    """The client was too slow in sending its request."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"


class ContentTooLarge(GatewayError):
    """The body is larger than the service takes (RFC 9110 15.5.14)."""

    status = 413
    code = "body_too_large"
    title = "Content too large"


class TargetTooLong(GatewayError):
    """The target is longer than is taken (RFC 9110 15.5.15)."""

    status = 414
    code = "target_too_long"
    title = "URI too long"


class ExpectationFailed(GatewayError):
    """`Expect` names something other than 100-continue (RFC 9110 10.1.1)."""

    status = 417
    code = "expectation_failed"
    title = "Expectation failed"


class FieldsTooLarge(GatewayError):
    """The head is larger than is taken (RFC 6585 5)."""

    status = 431
    code = "header_too_large"
    title = "Request header fields too large"


class Unauthorized(GatewayError):
    """Credentials are missing, invalid or expired."""

    status = 401
    code = "credentials_invalid"
    title = "Unauthorized"

    def __init__(
        self, detail: str = "", *, code: str | None = None, challenges: tuple[str, ...] = (), nonce: str | None = None
    ) -> None:
        """`nonce` is for the next DPoP proof (RFC 9449 9)."""
        super().__init__(detail, code=code)
        self.challenges = challenges
        self.nonce = nonce


class StepUpNeeded(Unauthorized):
    """The user must be authenticated in one of the ways `acr`, or within `max_age` seconds (RFC 9470 3)."""

    code = "insufficient_user_authentication"

    def __init__(
        self, detail: str, *, challenges: tuple[str, ...], acr: tuple[str, ...] = (), max_age: float | None = None
    ) -> None:
        super().__init__(detail, challenges=challenges)
        self.acr = acr
        self.max_age = max_age


class Forbidden(GatewayError):
    """The identity is known and not permitted."""

    status = 403
    code = "forbidden"
    title = "Forbidden"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        application: str | None = None,
        plan: str | None = None,
        challenges: tuple[str, ...] = (),
    ) -> None:
        super().__init__(detail, code=code)
        self.application = application
        self.plan = plan
        self.challenges = challenges


class NotFound(GatewayError):
    """No service, or none of its mapping rules, takes the request."""

    status = 404
    code = "no_service"
    title = "Not found"


class OverLimit(GatewayError):
    """A limit refused; `outcome` says which."""

    status = 429
    code = "over_limit"
    title = "Too many requests"

    def __init__(self, detail: str, outcome: Outcome, *, application: str, plan: str, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.outcome = outcome
        self.application = application
        self.plan = plan


class TooMany(GatewayError):
    """One address takes more than its share of the gateway itself, whoever is behind it."""

    status = 429
    code = "too_many_connections"
    title = "Too many requests"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class BadGateway(GatewayError):
    """The upstream cannot be reached or broke its answer."""

    status = 502
    code = "upstream_unreachable"
    title = "Bad gateway"


class Unavailable(GatewayError):
    """The gateway cannot decide or serve now."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class GatewayTimeout(GatewayError):
    """The upstream was too slow."""

    status = 504
    code = "upstream_timeout"
    title = "Gateway timeout"


class VersionNotSupported(GatewayError):
    """Another HTTP than 1.1 and 1.0 (RFC 9110 15.6.6)."""

    status = 505
    code = "version_not_supported"
    title = "HTTP version not supported"


def forget_way(error: Exception) -> None:
    """For where an error of a request ends: the frames that it came through hold the request, or the error itself, and
    such a cycle would wait for the garbage collector."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
