"""Sign-on: who is named can sign people in, and the pages that take the place of the gateway's own can be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway import model
from gateway.config.blocks.gateway import Provider
from gateway.config.blocks.services import AcceptLine, Service
from gateway.config.blocks.sign_on import SignOn
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint, repeated

PLACE: Where = ("gateway", "sign_on", "pages")


def sign_on(block: SignOn, context: Context) -> model.SignOn:
    pages = context.checked_file(block.pages, PLACE, _check_pages)
    return model.SignOn(idle=block.idle, life=block.life, pages=pages)


def _check_pages(folder: Path) -> None:
    from jinja2 import Environment, TemplateSyntaxError  # for those who have pages of their own

    if not folder.is_dir():
        raise Complaint("is no folder")
    for path in sorted(folder.glob("*.html")):
        try:
            Environment(autoescape=True).parse(path.read_text())
        except TemplateSyntaxError as error:
            raise Complaint(f"holds a template that cannot be read: {path.name}:{error.lineno}: {error}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Complaint(f"holds a template that cannot be read: {path.name}: {error}") from None


def check_sign_in(services: Mapping[str, Service], providers: Mapping[str, Provider], context: Context) -> None:
    """Providers exist and sign people in; all lines of a service name the same ones, as a session is of any of them."""
    for service, block in services.items():
        first: AcceptLine | None = None
        for position, line in enumerate(block.accept):
            if line.sign_in is None:
                continue
            where: Where = ("services", service, "accept", position, "sign_in")
            _check_providers(line.sign_in, providers, where, context)
            if first is not None and set(first.sign_in or ()) != set(line.sign_in):
                text = "names other providers than a line above it; all lines of a service name the same ones"
                context.complain(where, Complaint(text))
            first = first or line


def _check_providers(names: list[str], providers: Mapping[str, Provider], where: Where, context: Context) -> None:
    for position in repeated(names):
        context.complain((*where, position), Complaint("is named twice", shown=names[position]))
    for position, name in enumerate(names):
        if name in providers and providers[name].saml is not None:
            continue
        context.refer_kind("oidc", name, (*where, position))
        oidc = providers[name].oidc if name in providers else None
        if oidc is not None and oidc.sign_in is None and not context.faulty("identity", name):
            text = f"signs nobody in; give identity.{name}.oidc a sign_in with the client_id of the gateway there"
            context.complain((*where, position), Complaint(text, shown=name))
