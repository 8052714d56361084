"""Pages that people see: what is on them, how they look, and what browsers may do with them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rigs.sign_on import PLANS, Stage, stage
from sso.test_attacks import TWO

from gateway.errors import Unavailable
from gateway.sso.pages import OWN, Look
from gateway.sso.refusals import BadSignOn

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'"
)


class Outline(HTMLParser):
    """What assistive technology is told of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside[-1]] = self.texts.get(self._inside[-1], "") + data.strip()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def test_a_person_chooses_among_providers(tmp_path: Path) -> None:
    async with stage(tmp_path, TWO) as web, web.browser() as browser:
        chooser = await browser.go("/web/page?x=1")
        outline = Outline(chooser.text)
        assert [link["href"] for link in outline.of("a")] == [
            "/.sso/login?provider=keycloak&to=/web/page%3Fx%3D1",
            "/.sso/login?provider=partner&to=/web/page%3Fx%3D1",
        ]
        assert "Our company" in chooser.text
        asked = await browser.go(outline.of("a")[0]["href"] or "")
        assert "Who are you?" in asked.text


async def test_only_the_providers_of_a_service_are_offered_for_it(tmp_path: Path) -> None:
    async with stage(tmp_path, TWO) as web, web.browser() as browser:
        assert "Who are you?" in (await browser.go("/.sso/login?to=/both/page")).text
        refused = await browser.go("/.sso/login?to=/both/page&provider=partner")
        assert refused.status_code == 404
        assert "<code>unknown_provider</code>" in refused.text


def pages() -> dict[str, str]:
    look = Look(None)
    ways = [{"title": "Our <company>", "href": "/.sso/login?provider=a&to=/"}]
    problem = BadSignOn("sign_in_over", "This <b>sign-in</b> was used.")
    answers = {
        "choose": look.page("choose", ways=ways),
        "unsent": look.page("unsent", sign_in="/.sso/login?to=/"),
        "pass-on": look.page("pass-on", action="/", fields={"<b>": "<b>"}, provider="<Company>", answers=False),
        "sign-out": look.page("sign-out", who="<alice>", action="/.sso/logout"),
        "signed-out": look.page("signed-out", sign_in="/.sso/login", provider_left="<Company>"),
        "error": look.error(problem, "abc-1", "/.sso/login?to=/"),
        "away": look.error(Unavailable("The provider is away.", code="provider_away"), "abc-1", None),
    }
    return {name: bytes(answer.body).decode() for name, answer in answers.items()}


@pytest.mark.parametrize("name", pages())
def test_a_page_is_accessible_and_runs_nothing(name: str) -> None:
    text = pages()[name]
    outline = Outline(text)
    assert outline.of("html") == [{"lang": "en"}]
    assert outline.texts["title"]
    assert len(outline.of("h1")) == len(outline.of("main")) == 1
    assert outline.of("script") == outline.of("style") == outline.of("iframe") == []
    assert not any(key.startswith("on") or key == "style" for _, attributes in outline.tags for key in attributes)
    assert "<company>" not in text.lower()  # what came from elsewhere is escaped
    assert "<b>" not in text
    assert "<alice>" not in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.of("meta")


def test_an_error_tells_the_request_and_what_to_do() -> None:
    text = pages()["error"]
    assert "<code>sign_in_over</code>" in text
    assert "<code>abc-1</code>" in text
    assert "Try again" in text
    assert "Try again" not in pages()["away"]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("above", "below"), [("ink", "paper"), ("quiet", "paper"), ("accent", "paper"), ("on-accent", "accent")]
)
def test_text_has_contrast_in_light_and_dark(scheme: int, above: str, below: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    style = (OWN / "style.css").read_text()
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style.split("@media")[scheme]))
    light, dark = sorted((luminance(colours[above]), luminance(colours[below])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


async def test_browsers_may_do_little_with_pages(web: Stage) -> None:
    async with web.browser() as browser:
        answer = await browser.go("/.sso/signed-out")
        provider = web.issuer.partition("/realms")[0]
        assert answer.headers["content-security-policy"] == POLICY.format(provider)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        style = await browser.get("/.sso/-/style.css")
        assert style.headers["content-type"].startswith("text/css")
        assert style.headers["x-content-type-options"] == "nosniff"
        for path in (
            "/.sso/-/base.html",
            "/.sso/-/..%2fapp.py",
            "/.sso/-/none.css",
            "/.sso/",
            "/.sso",
            "/.sso/nothing",
        ):
            assert (await browser.get(path)).status_code in (400, 404), path
        program = await browser.get("/.sso/nothing", {})
        assert (program.status_code, program.json()["code"]) == (404, "no_page")


async def test_a_folder_gives_the_pages_another_look(tmp_path: Path) -> None:
    plans, brand = tmp_path / "plans", tmp_path / "plans" / "brand"
    brand.mkdir(parents=True)
    (brand / "signed-out.html").write_text(
        '{% extends "base.html" %}{% block content %}<h1>Farewell</h1>{% endblock %}'
    )
    (brand / "style.css").write_text("body { color: red }")
    (brand / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (brand / "secret.txt").write_text("not for anybody")
    async with stage(plans, PLANS.replace("life: 8h", "life: 8h, pages: brand")) as web, web.browser() as browser:
        assert "<h1>Farewell</h1>" in (await browser.get("/.sso/signed-out")).text
        assert "red" in (await browser.get("/.sso/-/style.css")).text
        assert (await browser.get("/.sso/-/logo.svg")).headers["content-type"].startswith("image/svg+xml")
        assert (await browser.get("/.sso/-/secret.txt")).status_code == 404


async def test_pages_are_on_the_hosts_of_services_that_have_people_sign_in(tmp_path: Path) -> None:
    plans = PLANS.replace("    path: /web\n", "    path: /web\n    hosts: [127.0.0.1]\n").replace(
        "    path: /both\n", "    path: /both\n    hosts: [127.0.0.1]\n"
    )
    async with stage(tmp_path, plans) as web, web.browser() as browser:
        assert (await browser.get("/.sso/signed-out")).status_code == 200
        answer = await browser.get("/.sso/signed-out", {"host": "other.example"})
        assert answer.status_code == 404


async def test_sign_in_needs_https_but_on_this_machine(web: Stage) -> None:
    async with web.browser() as browser:
        answer = await browser.get("/.sso/login", {"host": "shop.example", "accept": "text/html"})
        assert answer.status_code == 400
        assert "<code>https_required</code>" in answer.text


async def test_a_provider_that_never_answered_is_503(web: Stage) -> None:
    web.asked.append("away")
    async with web.browser() as browser:
        answer = await browser.go("/web/page")
        assert answer.status_code == 503
        assert "<code>provider_away</code>" in answer.text
        assert answer.headers["retry-after"] == "5"
        assert "http://" not in answer.text  # no address of what is inside
