"""Why a sign-on goes no further.

Codes are stable. Status 400 unless noted:

| code | meaning |
| --- | --- |
| `https_required` | the origin is plain http and not this machine |
| `request_malformed` | a parameter is missing, given twice, or not one |
| `not_begun_here` | the browser has no cookie of this sign-on, or another one's |
| `sign_in_over` | it was finished before, or has taken more than ten minutes |
| `sign_in_mixed_up` | the answer is from another provider, or for another origin, than it was begun with |
| `sign_in_refused` | 403: the provider has not let the person in |
| `sign_in_too_weak` | 403: the page asks for another way of signing in than the provider has used |
| `sign_in_failed` | the provider answers with an error, or does not take the code |
| `provider_wrong` | 502: what the provider sends does not verify, or it does not accept the gateway |
| `provider_away` | 503: the provider cannot be asked |
| `cross_site` | 403: a form of another site |
| `unknown_provider` | 404: no provider of that name signs people in here |
"""

from __future__ import annotations

from http import HTTPStatus

from gateway.errors import GatewayError


class BadSignOn(GatewayError):
    """Shown to a person as a page. `detail` is a sentence without secrets; `hint` is for the log alone."""

    def __init__(self, code: str, detail: str, *, status: int = 400, target: str = "/", hint: str = "") -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.title = HTTPStatus(status).phrase
        self.target = target
        self.hint = hint
