"""Where clients connect: addresses, certificates, and whom the gateway believes."""

from __future__ import annotations

from gateway import model
from gateway.config.blocks.gateway import Gateway
from gateway.config.blocks.listen import Certificate, Hsts, Listener, Tls
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint, repeated

WHERE: Where = ("gateway", "listen")


def listen(block: Gateway, context: Context) -> tuple[model.Listener, ...]:
    listeners = block.listen or []
    addresses = [listener.address for listener in listeners]
    for position in repeated(addresses):
        if addresses[position].port:  # 0 takes another free one each time
            complaint = Complaint("is named twice", shown=str(addresses[position]))
            context.complain((*WHERE, position), complaint)
    admin = block.admin or model.Config().admin
    if admin.port and admin in addresses:
        context.complain(("gateway", "admin"), Complaint("is a listener of traffic too", shown=str(admin)))
    believed = bool(block.trusted_proxies) or context.faulty("gateway", "trusted_proxies")
    built = [_listener(listener, (*WHERE, position), context) for position, listener in enumerate(listeners)]
    for position, listener in enumerate(listeners):
        if listener.proxy_protocol and not believed:
            text = "needs gateway.trusted_proxies: a PROXY header of anybody else is refused"
            context.complain((*WHERE, position, "proxy_protocol"), Complaint(text))
    return tuple(built) or model.Config().listen


def _listener(block: Listener, where: Where, context: Context) -> model.Listener:
    return model.Listener(
        address=block.address,
        tls=_tls(block.tls, (*where, "tls"), context) if block.tls else None,
        proxy_protocol=block.proxy_protocol,
        redirect=block.redirect_to_https,
    )


def _tls(block: Tls, where: Where, context: Context) -> model.ServerTls:
    if block.certificates is not None:
        places = [(pair, (*where, "certificates", n)) for n, pair in enumerate(block.certificates)]
    else:
        places = [(Certificate(cert=block.cert or "", key=block.key or ""), where)]
    return model.ServerTls(
        certificates=tuple(
            _certificate(pair, place, context, position) for position, (pair, place) in enumerate(places)
        ),
        client_ca=context.checked_file(block.client_ca, (*where, "client_ca"), context.certificates.check_authority),
        client_required=block.client_certificate != "optional",
        min_version=block.min_version,
        hsts=_hsts(block.hsts) if block.hsts else "",
    )


def _hsts(block: Hsts) -> str:
    """RFC 6797 6.1."""
    return f"max-age={block.max_age}{'; includeSubDomains' if block.include_subdomains else ''}"


def _certificate(block: Certificate, where: Where, context: Context, position: int) -> model.Certificate:
    files = context.certificates
    check = files.check_server if position == 0 else files.check_named
    cert = context.checked_file(block.cert, (*where, "cert"), check)
    key = context.checked_file(block.key, (*where, "key"), lambda path: cert and files.check_key(cert, path))
    assert cert is not None and key is not None
    return model.Certificate(cert, key)
