"""Services: references, metrics, certificates; what overlaps and what could never match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from gateway import model
from gateway.config.blocks.charging import Charge
from gateway.config.blocks.conditions import required
from gateway.config.blocks.services import AcceptLine, Metric, Service, Tls, Upstream
from gateway.config.build.context import Context, Where
from gateway.config.build.limits import check_service_limits
from gateway.config.build.onward import onward
from gateway.config.build.refusals import refusals
from gateway.config.problems import Complaint, instead, repeated
from gateway.routing.patterns import parse


def services(blocks: Mapping[str, Service], max_body: int, context: Context) -> dict[str, model.Service]:
    """`max_body` is for those that say nothing of it."""
    _refuse_overlaps(blocks, context)
    return {name: _service(name, block, max_body, context) for name, block in blocks.items()}


def refuse_dead(
    pattern: model.Pattern, service: str, block: Service, where: Where, context: Context, *, on_key: bool = False
) -> None:
    """Complain of a pattern that no request to the service can match."""
    base = unquote(block.path).rstrip("/").encode()
    head = parse(pattern.pattern).head
    exact = pattern.pattern.endswith("$") and "{" not in pattern.pattern
    if head == base or head.startswith(base + b"/") or (base.startswith(head) and not exact):
        return
    path = context.written(("services", service, "path"))
    text = f"can never match: the service's requests start with {path}"
    context.complain(where, Complaint(text, shown=pattern.pattern, on_key=on_key))


def _refuse_overlaps(blocks: Mapping[str, Service], context: Context) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, block in blocks.items():
        for host in dict.fromkeys(block.hosts or [""]):
            first = seen.setdefault((host, unquote(block.path)), name)
            if first != name:
                place = "on an equal host" if host else "on any host"
                text = f"is the path of the service '{first}' too, {place}; give one of them another"
                context.complain(("services", name, "path"), Complaint(text, shown=block.path))


def _service(name: str, block: Service, max_body: int, context: Context) -> model.Service:
    where: Where = ("services", name)
    _check_metrics(block, context.metrics(name) or frozenset(), where, context)
    check_service_limits(name, block, context)
    for position, rule in enumerate(block.rules):
        refuse_dead(rule.pattern, name, block, (*where, "rules", position, rule.key), context, on_key=True)
    first, *others = _upstreams(name, block, context).items()
    return model.Service(
        name=name,
        hosts=tuple(dict.fromkeys(block.hosts or ())),
        path=block.path,
        strip_path=block.strip_path,
        usage_path=block.usage_path,
        max_body=max_body if block.max_body is None else block.max_body,
        upstream=first[1],
        upstreams=dict(others),
        accept=_accept(block.accept, (*where, "accept"), context),
        metrics={model.HITS: None} | {metric: of.parent for metric, of in block.metrics.items()},
        refusals=refusals(block.refusals, (*where, "refusals"), context),
        rules=tuple(
            model.Rule(
                method=r.pattern.method,
                pattern=r.pattern.pattern,
                usage=r.usage,
                last=r.last,
                require=required(r.require),
                measures=r.measures,
            )
            for r in block.rules
        ),
        require=required(block.require),
        charge=charging(block.charge),
    )


def charging(block: Charge | None) -> model.Charging:
    return model.Charging() if block is None else model.Charging(except_status=tuple(block.except_status))


def _check_metrics(block: Service, known: frozenset[str], where: Where, context: Context) -> None:
    """Parents and the metrics of rules are defined, and none is its own ancestor."""
    if model.HITS in block.metrics:
        built_in = Complaint("is built in; leave it out", shown=model.HITS, on_key=True)
        context.complain((*where, "metrics", model.HITS), built_in)
    for metric in block.metrics:
        if metric in _ancestors(metric, block):
            context.complain((*where, "metrics", metric, "parent"), Complaint("leads back to where it started", metric))
    parents = ((of.parent, (*where, "metrics", metric, "parent")) for metric, of in block.metrics.items())
    used = (
        (metric, (*where, "rules", position, rule.key, metric))
        for position, rule in enumerate(block.rules)
        for metric in rule.usage
    )
    for named, place in (*parents, *used):
        if named is not None and named not in known:
            context.complain(place, Complaint(f"is not a metric of this service{instead(named, known)}", shown=named))


def _ancestors(metric: str, block: Service) -> list[str]:
    """Parent, its parent and so on, as far as they are defined and not repeated."""
    found: list[str] = []
    of: Metric | None = block.metrics.get(metric)
    while of is not None and of.parent is not None and of.parent not in found:
        found.append(of.parent)
        of = block.metrics.get(of.parent)
    return found


def _upstreams(service: str, block: Service, context: Context) -> dict[str, model.Upstream]:
    """By name, the default one first. In logs and metrics that has the service's name, others are `SERVICE.NAME`."""
    where: Where = ("services", service)
    if block.upstreams is None:
        assert block.upstream is not None
        return {"": _upstream(service, block.upstream, (*where, "upstream"), context)}
    return {
        name: _upstream(f"{service}.{name}" if place else service, one, (*where, "upstreams", name), context)
        for place, (name, one) in enumerate(block.upstreams.items())
    }


def _upstream(name: str, block: Upstream, where: Where, context: Context) -> model.Upstream:
    timeouts = block.timeouts
    return model.Upstream(
        name=name,
        targets=tuple(block.targets),
        tls=_tls(block.tls, (*where, "tls"), context) if block.tls else model.ClientTls(),
        timeouts=model.Timeouts(connect=timeouts.connect, response=timeouts.response, idle=timeouts.idle),
        identity=onward(str(where[1]), block.identity),
    )


def _tls(block: Tls, where: Where, context: Context) -> model.ClientTls:
    files = context.certificates
    ca = context.checked_file(block.ca, (*where, "ca"), files.check_authority)
    cert = context.checked_file(block.cert, (*where, "cert"), files.check_certificate)
    key = context.checked_file(block.key, (*where, "key"), lambda path: cert and files.check_key(cert, path))
    return model.ClientTls(ca=ca, cert=cert, key=key, verify_name=block.verify_name)


def _accept(lines: list[AcceptLine], where: Where, context: Context) -> tuple[model.Accept, ...]:
    for position, line in enumerate(lines):
        if line.jwt is not None:
            context.refer_kind("oidc", line.jwt, (*where, position, "jwt"))
        if line.certificate is not None:
            context.refer_kind("certificate", line.certificate, (*where, position, "certificate"))
    accept = tuple(_line(line) for line in lines)
    for position in repeated(map(_as_sent, accept)):
        context.complain((*where, position), Complaint("repeats a line above it"))
    return accept


def _line(block: AcceptLine) -> model.Accept:
    return model.Accept(
        jwt=block.jwt,
        api_key=block.place,
        app_id=block.app,
        certificate=block.certificate,
        sign_in=tuple(block.sign_in or ()),
        anonymous=block.anonymous,
    )


def _as_sent(accept: model.Accept) -> model.Accept:
    """The names of headers have no case."""
    app = accept.app_id
    return replace(
        accept,
        api_key=_lower(accept.api_key) if accept.api_key else None,
        app_id=model.AppId(_lower(app.id), _lower(app.key)) if app else None,
    )


def _lower(place: model.KeyPlace) -> model.KeyPlace:
    return place._replace(name=place.name.lower()) if place.kind == "header" else place
