"""The pages that people see: templates, of which a folder may replace any, and what browsers may do with them."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, Response

from gateway.errors import GatewayError
from gateway.sso.browser import PREFIX

OWN = Path(__file__).parent / "templates"
STATIC = f"{PREFIX}/-"  # no provider's name begins so
SUFFIXES = (".css", ".svg", ".png", ".jpg", ".webp", ".ico", ".woff2")
LARGEST = 512 * 1024  # bytes of a file that pages bring
ADVICE = {
    403: "If you think that you should be let in, ask those who run this service.",
    502: "Ask those who run this service, and tell them the code below.",
    503: "Wait a moment, then try again.",
}
ANYWAY = "Begin again from the page that you wanted to see."
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


class Look:
    """Templates and files, the folder's before the gateway's own. Raises OSError for what cannot be read."""

    def __init__(self, folder: Path | None) -> None:
        folders = [OWN] if folder is None else [folder, OWN]
        self._environment = Environment(loader=FileSystemLoader(folders), autoescape=True, auto_reload=False)
        self._environment.globals["static"] = STATIC
        self._files = {path.name: path.read_bytes() for place in reversed(folders) for path in _files(place)}

    def page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._environment.get_template(f"{name}.html").render(values)
        return HTMLResponse(text, status)

    def error(self, error: GatewayError, request_id: str, again: str | None) -> HTMLResponse:
        """What went wrong, in words for people, and what to do."""
        answer = self.page(
            "error",
            error.status,
            title="Sign-in did not work" if error.status < 500 else "Sign-in does not work now",
            detail=error.detail,
            advice=ADVICE.get(error.status, ANYWAY),
            again=again,
            code=error.code,
            request_id=request_id,
        )
        if error.retry_after is not None:
            answer.headers["retry-after"] = str(error.retry_after)
        return answer

    def file(self, name: str) -> Response | None:
        """A style or picture; None: there is none of that name."""
        content = self._files.get(name)
        if content is None:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(content, headers={"cache-control": "public, max-age=300"}, media_type=kind)


def _files(folder: Path) -> Iterable[Path]:
    found = (path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    return (path for path in found if path.stat().st_size <= LARGEST)


def policy(origins: Sequence[str]) -> str:
    """The Content-Security-Policy: no script at all, and forms that lead to providers (by a redirect) alone."""
    forms = " ".join(("'self'", *dict.fromkeys(origins)))
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
        f"form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    )
