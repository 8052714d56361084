"""Everything that the files may say, and the model that it becomes."""

from __future__ import annotations

import os
import pickle
from fractions import Fraction
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from gateway.destinations import Alertmanager, Channel, Email, MailTls, Notify, Quiet, Webhook
from gateway.model import (
    NO_PLAN,
    UNLIMITED,
    Accept,
    Account,
    Address,
    ApiKey,
    Application,
    Certificate,
    ClientCertificates,
    ClientLimits,
    ClientTimeouts,
    ClientTls,
    Config,
    Down,
    DownMode,
    Dpop,
    Drain,
    Each,
    Introspection,
    KeyPlace,
    Limit,
    Memory,
    NamedBy,
    Oidc,
    Over,
    Pattern,
    Per,
    Period,
    Plan,
    Rate,
    Require,
    Rule,
    Saml,
    ServerTls,
    Service,
    State,
    Store,
    Target,
    Timeouts,
    Upstream,
)

from .conftest import Write

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

GATEWAY = """
version: 1
gateway:
  listen: [0.0.0.0:8080, "[::]:8080", {address: "localhost:0"}, "localhost:0"]
  admin: "[::1]:8081"
  workers: 4
  data: ../data
  store:
    url: rediss://store.internal:6379/1
    ca: ../certs/ca.pem
    password: "${STORE_PASSWORD}"
    prefix: gw-1
    timeout: 80ms
  drain: {timeout: 1.5m, delay: 5s}
  limits:
    target: 4KiB
    head: 16KiB
    fields: 64
    body: 10MiB
    min_rate: 1KiB/s
    connections: 2001
    requests: 100
    invalid_credentials: 20/minute
    memory: 80%
  timeouts: {head: 5s, body: 15s, write: 20s, keep_alive: 1m, connection_age: 10m}
identity:
  keycloak:
    oidc:
      issuer: https://sso.example.com/realms/demo
      audience: [gateway, account]
      algorithms: [RS256, ES256]
      internal_url: https://keycloak:8443/realms/demo
      ca: ../certs/ca.pem
  partner: {oidc: {issuer: "http://127.0.0.1:8180/realms/partner", audience: gateway}}
alerts:
  channels:
    ops: {webhook: "https://ops.example.com/hook?team=1", secret: "${OPS_SECRET}"}
    dev: {webhook: "http://127.0.0.1:9080/alerts"}
    oncall: {alertmanager: "http://alertmanager:9093/", token: a token}
    mail:
      email:
        server: smtp.example.com:587
        sender: gateway@example.com
        to: ops@example.com
        ca: ../certs/ca.pem
        username: gw
        password: a password
      quiet: {hours: 22:00-07:30, time_zone: Europe/Berlin}
    contacts:
      email: {server: "smtp.example.com:465", sender: gateway@example.com, contacts: true, tls: implicit}
      quiet: 12:00-13:00
      batch: 5m
    chat: {notify: "json://chat.example.com/token"}
"""
ORDERS = """
services:
  orders:
    hosts: [API.example.com, "*.example.org"]
    path: /orders
    strip_path: true
    upstream:
      targets: ["https://Orders-1.internal:8443", "https://[2001:DB8::1]", "http://10.0.0.1"]
      tls: {ca: ../certs/ca.pem, cert: ../certs/gateway.pem, key: ../certs/gateway.key, verify_name: orders.internal}
      timeouts: {connect: 250ms, response: 2m}
    accept:
      - {jwt: keycloak, api_key: {header: X-Api-Key}}
      - api_key: {query: api_key}
      - api_key: {basic: username}
      - jwt: partner
    metrics: {writes: {parent: hits}, bulk: {parent: writes}, bytes: {}}
    rules:
      - GET /orders/status$: hits
        last: true
      - {GET /orders: hits}
      - POST /orders/{id}/lines: {writes: 10, bytes: 5}
      - "ANY /orders?debug={any}": bulk
plans:
  gold:
    services: [orders]
    allow: {orders: [GET /orders, "POST /orders/{id}/lines"]}
    limits:
      hits:
        - 100/minute
        - {limit: 50000/month, over: allow, time_zone: Europe/Berlin, per: application}
      orders.writes: [{limit: 0/eternity}]
    alerts: {at: [120, 80, 100, 80], to: [ops, dev]}
  free: {services: [orders], over: allow, ledger_down: closed, limits: {hits: [10/week, {limit: 1/day, over: reject}]}}
accounts:
  acme: {contact: {email: api@acme.example}}
  nobody: {}
applications:
  mobile:
    account: acme
    plans: [gold]
    client_ids: [mobile-app, "7"]
    api_keys: ["sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    state: suspended
  customers: {plans: [free], match: {roles: [customer, "shop:buyer"]}, each: client}
"""
SERVICE = "{upstream: {targets: ['http://x']}, accept: [{api_key: {query: k}}], rules: [ANY /: hits]}"


@pytest.fixture
def config(write: Write) -> Config:
    return load(write(gateway=GATEWAY, orders=ORDERS), {"STORE_PASSWORD": "hunter2", "OPS_SECRET": SECRET})


def test_as_many_workers_as_cores(write: Write) -> None:
    here = len(os.sched_getaffinity(0))
    assert 1 <= load(write("gateway: {workers: auto}")).workers <= here
    assert load(write("gateway: {workers: auto, store: memory}")).workers == 1


def test_the_process(config: Config, place: Path) -> None:
    assert [listener.address for listener in config.listen] == [
        Address("0.0.0.0", 8080),
        Address("::", 8080),
        Address("localhost", 0),
        Address("localhost", 0),
    ]
    assert {(listener.tls, listener.proxy_protocol, listener.redirect) for listener in config.listen} == {
        (None, False, None)
    }
    assert config.admin == Address("::1", 8081)
    assert (config.workers, config.drain) == (4, Drain(timeout=90.0, delay=5.0))
    assert config.data == place / "data"  # relative to the file
    assert config.store == Store(
        kind="url",
        url="rediss://store.internal:6379/1",
        ca=place / "certs" / "ca.pem",
        password="hunter2",
        prefix="gw-1",
        timeout=0.08,
    )
    assert "hunter2" not in repr(config)


def test_what_clients_may_take(config: Config) -> None:
    assert config.limits == ClientLimits(
        target=4096,
        head=16384,
        fields=64,
        min_rate=1024,
        connections=2001,
        client_connections=1000,  # half, where nothing is said
        requests=100,
        invalid_credentials=Rate(20, 60),
        memory=Memory(percent=80),
    )
    assert config.timeouts == ClientTimeouts(head=5.0, body=15.0, write=20.0, keep_alive=60.0, connection_age=600.0)
    assert config.services["orders"].max_body == 10 * 1024 * 1024


def test_what_clients_may_take_where_nothing_is_said(write: Write) -> None:
    config = load(write("version: 1"))
    assert (config.limits, config.timeouts) == (ClientLimits(), ClientTimeouts())


@pytest.mark.parametrize(
    ("limits", "read"),
    [
        ("{min_rate: off}", ClientLimits(min_rate=0)),
        ("{connections: 1}", ClientLimits(connections=1, client_connections=1)),
        ("{client_connections: 20000}", ClientLimits(client_connections=20000)),
        ("{invalid_credentials: off, memory: off}", ClientLimits(invalid_credentials=None, memory=None)),
        ("{memory: 1GiB}", ClientLimits(memory=Memory(size=1024**3))),
    ],
)
def test_what_can_be_switched_off_or_said_otherwise(limits: str, read: ClientLimits, write: Write) -> None:
    assert load(write(f"gateway: {{limits: {limits}}}")).limits == read


@pytest.mark.parametrize(("body", "read"), [("max_body: unlimited, ", UNLIMITED), ("max_body: 0B, ", 0), ("", 1024)])
def test_a_service_has_a_limit_of_its_own(body: str, read: int, write: Write) -> None:
    service = (
        f"{{{body}upstream: {{targets: ['http://x']}}, accept: [{{api_key: {{query: k}}}}], rules: [GET /: hits]}}"
    )
    config = load(write(f"{{gateway: {{limits: {{body: 1KiB}}}}, services: {{x: {service}}}}}"))
    assert config.services["x"].max_body == read


def test_people_may_sign_in_by_saml(write: Write, place: Path) -> None:
    config = load(
        write(
            """
identity:
  plain: {saml: {metadata: ../saml/idp.xml}}
  whole:
    saml:
      metadata: ../saml/idp.xml
      title: Our partner
      entity_id: https://api.example.com/sp
      cert: ../certs/nameless.pem
      key: ../certs/nameless.key
      previous: {cert: ../certs/nameless.pem, key: ../certs/nameless.key}
      subject: uid
      roles: Role
      groups: memberOf
      claims: {email: mail}
      client_id: web
      name_id_format: persistent
      force_authn: true
      unsolicited: true
services:
  x: {upstream: {targets: ["http://x"]}, accept: [{sign_in: [plain, whole]}], rules: [GET /: hits]}
"""
        )
    )
    metadata, certs = place / "saml" / "idp.xml", place / "certs"
    pair = Certificate(certs / "nameless.pem", certs / "nameless.key")
    assert config.saml == {
        "plain": Saml(name="plain", title="plain", metadata=metadata, entity_id="urn:plangate:plain"),
        "whole": Saml(
            name="whole",
            title="Our partner",
            metadata=metadata,
            entity_id="https://api.example.com/sp",
            pairs=(pair, pair),
            subject="uid",
            roles="Role",
            groups="memberOf",
            claims={"email": "mail"},
            client_id="web",
            name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            force_authn=True,
            unsolicited=True,
        ),
    }
    assert config.services["x"].accept == (Accept(sign_in=("plain", "whole")),)


def test_clients_may_be_known_by_certificates(write: Write, place: Path) -> None:
    config = load(
        write(
            """
identity:
  pumps: {certificate: {ca: ../certs/ca.pem, application: subject_cn}}
  webs: {certificate: {ca: ../certs/ca.pem, spiffe: prod.example.com}}
  any: {certificate: {ca: ../certs/ca.pem, application: san_dns, spiffe: "false"}}
services:
  x: {upstream: {targets: ["http://x"]}, accept: [{certificate: pumps}], rules: [GET /: hits]}
plans: {gold: {services: [x]}}
applications:
  pump: {plans: [gold], certificates: {pumps: [pump-1, "pump-*"]}}
"""
        )
    )
    ca = place / "certs" / "ca.pem"
    assert config.certificates == {
        "pumps": ClientCertificates(name="pumps", ca=ca, named_by=NamedBy.SUBJECT_CN),
        "webs": ClientCertificates(name="webs", ca=ca, named_by=NamedBy.SAN_URI, spiffe="prod.example.com"),
        "any": ClientCertificates(name="any", ca=ca, named_by=NamedBy.SAN_DNS),
    }
    assert config.services["x"].accept == (Accept(certificate="pumps"),)
    assert config.applications["pump"].certificates == {"pumps": ("pump-1", "pump-*")}


def test_it_can_be_handed_to_another_process(config: Config) -> None:
    assert repr(pickle.loads(pickle.dumps(config))) == repr(config)


def test_providers_and_channels(config: Config, place: Path) -> None:
    assert config.providers == {
        "keycloak": Oidc(
            name="keycloak",
            issuer="https://sso.example.com/realms/demo",
            audience=("gateway", "account"),
            algorithms=("RS256", "ES256"),
            internal_url="https://keycloak:8443/realms/demo",
            ca=place / "certs" / "ca.pem",
        ),
        "partner": Oidc(name="partner", issuer="http://127.0.0.1:8180/realms/partner", audience=("gateway",)),
    }
    assert config.channels == {
        "ops": Channel(name="ops", to=Webhook(url="https://ops.example.com/hook?team=1", secret=SECRET)),
        "dev": Channel(name="dev", to=Webhook(url="http://127.0.0.1:9080/alerts")),
        "oncall": Channel(name="oncall", to=Alertmanager(url="http://alertmanager:9093", token="a token")),
        "mail": Channel(
            name="mail",
            to=Email(
                host="smtp.example.com",
                port=587,
                sender="gateway@example.com",
                to=("ops@example.com",),
                ca=place / "certs" / "ca.pem",
                username="gw",
                password="a password",
            ),
            quiet=Quiet(start=22 * 3600, end=7 * 3600 + 1800, zone="Europe/Berlin"),
            batch=30.0,
        ),
        "contacts": Channel(
            name="contacts",
            to=Email(host="smtp.example.com", port=465, sender="gateway@example.com", tls=MailTls.IMPLICIT),
            quiet=Quiet(start=12 * 3600, end=13 * 3600),
            batch=300.0,
        ),
        "chat": Channel(name="chat", to=Notify(url="json://chat.example.com/token"), batch=10.0),
    }


def test_a_service(config: Config, place: Path) -> None:
    certs = place / "certs"
    assert fields(config.services["orders"]) == fields(
        Service(
            name="orders",
            hosts=("api.example.com", "*.example.org"),
            path="/orders",
            strip_path=True,
            max_body=10 * 1024 * 1024,
            upstream=Upstream(
                name="orders",
                targets=(
                    Target(True, "orders-1.internal", 8443),
                    Target(True, "2001:db8::1", 443),
                    Target(False, "10.0.0.1", 80),
                ),
                tls=ClientTls(
                    ca=certs / "ca.pem",
                    cert=certs / "gateway.pem",
                    key=certs / "gateway.key",
                    verify_name="orders.internal",
                ),
                timeouts=Timeouts(connect=0.25, response=120.0, idle=60.0),
            ),
            accept=(
                Accept(jwt="keycloak", api_key=KeyPlace("header", "X-Api-Key")),
                Accept(api_key=KeyPlace("query", "api_key")),
                Accept(api_key=KeyPlace("basic", "username")),
                Accept(jwt="partner"),
            ),
            metrics={"hits": None, "writes": "hits", "bulk": "writes", "bytes": None},
            rules=(
                Rule(method="GET", pattern="/orders/status$", usage={"hits": 1}, last=True),
                Rule(method="GET", pattern="/orders", usage={"hits": 1}),
                Rule(method="POST", pattern="/orders/{id}/lines", usage={"writes": 10, "bytes": 5}),
                Rule(method="ANY", pattern="/orders?debug={any}", usage={"bulk": 1}),
            ),
        )
    )


def fields(service: Service) -> dict[str, Any]:
    """Services are compared by object; here by value."""
    return {name: getattr(service, name) for name in Service.__slots__}


def test_listeners_with_tls(write: Write, place: Path) -> None:
    pair = "cert: ../certs/gateway.pem, key: ../certs/gateway.key"
    text = f"""gateway:
      trusted_proxies: [10.0.0.0/8, "::1"]
      listen:
        - {{address: "0.0.0.0:8443", tls: {{{pair}, hsts: 1y}}, proxy_protocol: true}}
        - address: "[::]:8443"
          tls:
            certificates: [{{{pair}}}, {{{pair}}}]
            client_ca: ../certs/ca.pem
            client_certificate: optional
            min_version: 1.3
            hsts: {{max_age: 60, include_subdomains: true}}
        - {{address: "0.0.0.0:8080", redirect_to_https: true}}
        - {{address: "0.0.0.0:8081", redirect_to_https: 8443}}
        - {{address: "0.0.0.0:8082", redirect_to_https: false}}
    """
    config = load(write(text))
    assert config.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    one, two, *redirects = config.listen
    certificate = Certificate(place / "certs" / "gateway.pem", place / "certs" / "gateway.key")
    assert one.proxy_protocol
    assert one.tls == ServerTls(certificates=(certificate,), hsts="max-age=31536000")
    assert two.tls == ServerTls(
        certificates=(certificate, certificate),
        client_ca=place / "certs" / "ca.pem",
        client_required=False,
        min_version="1.3",
        hsts="max-age=60; includeSubDomains",
    )
    assert [listener.redirect for listener in redirects] == [443, 8443, None]


def test_a_plan(config: Config) -> None:
    month = Limit(
        plan="gold", period=Period.MONTH, zone="Europe/Berlin", value=50000, over=Over.ALLOW, bins=(80, 100, 120)
    )
    assert config.plans["gold"] == Plan(
        name="gold",
        services=("orders",),
        allow={"orders": (Pattern("GET", "/orders"), Pattern("POST", "/orders/{id}/lines"))},
        limits=(
            Limit(plan="gold", period=Period.MINUTE, value=100, bins=(80, 100)),  # 120 % is out of its reach
            month,
            Limit(
                plan="gold", service="orders", metric="writes", period=Period.ETERNITY, value=0
            ),  # no percentages of 0
        ),
        channels=("ops", "dev"),
    )


def test_limits_that_differ_in_whose_requests_count(write: Write) -> None:
    limits = ", ".join(f"{{limit: 10/minute, per: {per}}}" for per in Per)
    text = f"services: {{x: {SERVICE}}}\nplans: {{gold: {{services: [x], limits: {{hits: [{limits}]}}}}}}"
    assert [limit.per for limit in load(write(text)).plans["gold"].limits] == [*Per]


@pytest.mark.parametrize(
    ("plan", "down"),
    [
        ("", Down()),
        (", ledger_down: open", Down(mode=DownMode.OPEN)),
        (", ledger_down: {local: {share: 10%, gateways: 2}}", Down(mode=DownMode.OPEN)),  # it has no local shares
    ],
)
def test_a_service_s_own_limits_hold_for_each_plan_that_opens_it(plan: str, down: Down, write: Write) -> None:
    """After the plan's own."""
    limited = SERVICE[:-1] + ", limits: {hits: [90/second, {limit: 5/day, shadow: true}]}}"
    gold = f"{{services: [x], limits: {{hits: [100/minute]}}{plan}}}"
    own, second, day = load(write(f"services: {{x: {limited}}}\nplans: {{gold: {gold}}}")).plans["gold"].limits
    assert own.plan == "gold"
    whole = Limit(plan=NO_PLAN, service="x", per=Per.SERVICE, period=Period.SECOND, value=90, down=down)
    assert (second, day.shadow, day.plan, day.bins) == (whole, True, NO_PLAN, ())


EXTENDS = """
plans:
  free:
    services: [x, y]
    allow: {x: [GET /], y: [GET /]}
    over: allow
    ledger_down: open
    limits: {hits: [10/minute, {limit: 5/minute, per: user}, 100/day], y.hits: [1/day]}
    alerts: {at: [50, 90], to: [ops]}
  silver: {extends: free, limits: {hits: [20/minute]}, alerts: {at: [80]}}
  gold:
    extends: silver
    services: [x]
    over: reject
    limits: {hits: [{limit: 300/day, over: allow}], x.hits: [7/hour]}
alerts: {channels: {ops: {webhook: "https://ops.example.com/hook"}}}
"""


def test_a_plan_has_what_it_does_not_say_from_those_that_it_extends(write: Write) -> None:
    """The nearest first; what is about services that it does not open is left out."""
    services = f"services: {{x: {SERVICE}, y: {{path: /y, {SERVICE[1:]}}}"
    plans = load(write(f"{services}\n{EXTENDS}")).plans
    silver, gold = plans["silver"], plans["gold"]
    assert (silver.services, gold.services) == (("x", "y"), ("x",))
    assert (silver.allow, gold.allow) == (plans["free"].allow, {"x": (Pattern("GET", "/"),)})
    assert {silver.down, gold.down} == {Down(mode=DownMode.OPEN)}
    assert silver.channels == gold.channels == ("ops",)
    told = [(limit.plan, limit.service, str(limit), limit.over) for limit in gold.limits]
    assert told == [
        ("gold", None, "300 hits per day", Over.ALLOW),
        ("gold", None, "20 hits per minute", Over.REJECT),
        ("gold", None, "5 hits per minute and user", Over.REJECT),
        ("gold", "x", "7 x.hits per hour", Over.REJECT),
    ]
    assert {limit.bins for limit in gold.limits} == {(80,)}
    assert [(str(limit), limit.over) for limit in silver.limits] == [
        ("20 hits per minute", Over.ALLOW),
        ("5 hits per minute and user", Over.ALLOW),
        ("100 hits per day", Over.ALLOW),
        ("1 y.hits per day", Over.ALLOW),
    ]


def test_a_limit_in_shadow_never_refuses(write: Write) -> None:
    """Not even where it is 0, and alerts may be above 100."""
    hits = "[{limit: 10/day, shadow: true}, {limit: 0/hour, shadow: true}, 5/minute]"
    gold = f"{{services: [x], limits: {{hits: {hits}}}, alerts: {{at: [100, 150]}}}}"
    limits = load(write(f"services: {{x: {SERVICE}}}\nplans: {{gold: {gold}}}")).plans["gold"].limits
    assert [(limit.shadow, limit.over, limit.bins) for limit in limits] == [
        (True, Over.ALLOW, (100, 150)),
        (True, Over.ALLOW, ()),
        (False, Over.REJECT, (100,)),
    ]


def test_what_a_plan_leaves_out(config: Config) -> None:
    """`over` is for all limits that say nothing; alerts at 80 and 100 go to the log."""
    assert config.plans["free"] == Plan(
        name="free",
        services=("orders",),
        limits=(
            Limit(plan="free", period=Period.WEEK, value=10, over=Over.ALLOW, bins=(80, 100)),
            Limit(plan="free", period=Period.DAY, value=1, over=Over.REJECT, bins=(80, 100)),
        ),
    )


@pytest.mark.parametrize(
    ("written", "down"),
    [
        ("closed", Down()),
        ("open", Down(mode=DownMode.OPEN)),
        ("{local: {share: 10%, gateways: 4}}", Down(mode=DownMode.LOCAL, share=Fraction(1, 10), gateways=4)),
        ("{local: {share: 0.125%, gateways: 1}}", Down(mode=DownMode.LOCAL, share=Fraction(1, 800))),
    ],
)
def test_what_a_plan_does_while_its_store_is_away(written: str, down: Down, write: Write) -> None:
    """Each of its limits says so too."""
    limits = "{hits: [800/hour, 0/day, {limit: 1/eternity, over: allow}]}"
    gold = f"{{services: [orders], ledger_down: {written}, limits: {limits}}}"
    plan = load(write(f"services: {{orders: {SERVICE}}}\nplans: {{gold: {gold}}}")).plans["gold"]
    assert {plan.down, *(limit.down for limit in plan.limits)} == {down}


def test_applications(config: Config) -> None:
    assert config.accounts == {
        "acme": Account(name="acme", email="api@acme.example"),
        "nobody": Account(name="nobody"),
    }
    assert config.applications == {
        "mobile": Application(
            name="mobile",
            plans=("gold",),
            account="acme",
            client_ids=("mobile-app", "7"),
            api_keys=(ApiKey("sha256:" + "a" * 64),),
            state=State.SUSPENDED,
        ),
        "customers": Application(
            name="customers", plans=("free",), match=Require(roles=("customer", "shop:buyer")), each=Each.CLIENT
        ),
    }


def test_whom_to_ask_about_tokens(write: Write) -> None:
    base = "issuer: https://sso.example.com/, audience: gateway, introspection: {client_id: gateway, client_secret: s"
    asked = load(write(f"identity: {{a: {{oidc: {{{base}}}}}}}}}")).providers["a"].introspection
    assert asked == Introspection(client_id="gateway", client_secret="s", tokens=("opaque", "lightweight"))
    asked = (
        load(write(f"identity: {{a: {{oidc: {{{base}, tokens: all, max_age: 5s}}}}}}}}")).providers["a"].introspection
    )
    assert asked == Introspection(client_id="gateway", client_secret="s", tokens=("all",), max_age=5.0)
    assert "'s'" not in repr(asked)


@pytest.mark.parametrize(
    ("written", "dpop"),
    [
        ("required", Dpop(use="required")),
        ("{algorithms: [ES256], max_age: 10s, nonce: true}", Dpop(algorithms=("ES256",), max_age=10.0, nonce=True)),
    ],
)
def test_tokens_that_are_bound_to_keys(written: str, dpop: Dpop, write: Write) -> None:
    base = "issuer: https://sso.example.com/, audience: gateway"
    assert load(write(f"identity: {{a: {{oidc: {{{base}, dpop: {written}}}}}}}")).providers["a"].dpop == dpop


def test_what_a_token_must_say(write: Write) -> None:
    rule = "{GET /: hits, require: {acr: [gold], max_age: 5m}}"
    claims = "{tenant: acme, address.country: [DE, AT], verified: true}"
    service = f"{{require: {{scopes: [openid]}}, rules: [{rule}], {SERVICE[1:].replace(', rules: [ANY /: hits]', '')}"
    plan = f"{{services: [orders], require: {{roles: [a, 'shop:b'], groups: [/staff], claims: {claims}}}}}"
    config = load(write(f"services: {{orders: {service}}}\nplans: {{gold: {plan}, more: {{extends: gold}}}}"))
    orders, gold = config.services["orders"], config.plans["gold"]
    assert orders.require == Require(scopes=("openid",))
    assert orders.rules[0].require == Require(acr=("gold",), max_age=300.0)
    wanted = {"tenant": ("acme",), "address.country": ("DE", "AT"), "verified": ("true",)}
    assert gold.require == Require(roles=("a", "shop:b"), groups=("/staff",), claims=wanted)
    assert config.plans["more"].require == gold.require


def test_what_the_gateway_does_when_told_nothing(write: Write, place: Path) -> None:
    config = load(write("version: 1"))
    assert config == Config(data=place / "data")


@pytest.mark.parametrize(
    ("written", "store"),
    [
        ("embedded", Store(kind="embedded")),
        ("memory", Store(kind="memory")),
        ("redis://store", Store(kind="url", url="redis://store")),
        ("unix:///run/valkey.sock", Store(kind="url", url="unix:///run/valkey.sock")),
        ("{url: redis://s, wait: 2, fence: 10s}", Store(kind="url", url="redis://s", wait=2, fence=10.0)),
        ("{cluster: a:7000}", Store(kind="cluster", nodes=(Address("a", 7000),))),
        (
            '{cluster: [a:7000, "[::1]:7001"], tls: true, wait: 0}',
            Store(kind="cluster", nodes=(Address("a", 7000), Address("::1", 7001)), tls=True, wait=0),
        ),
        (
            "{sentinel: [a:26379, b:26379], service: main, database: 3, sentinel_password: x, sentinel_username: u}",
            Store(
                kind="sentinel",
                nodes=(Address("a", 26379), Address("b", 26379)),
                service="main",
                database=3,
                sentinel_username="u",
                sentinel_password="x",
            ),
        ),
        ('{url: "redis://[::1]:6379/0", timeout: 1s}', Store(kind="url", url="redis://[::1]:6379/0", timeout=1.0)),
    ],
)
def test_stores(written: str, store: Store, write: Write) -> None:
    assert load(write(f"gateway: {{store: {written if '{' in written else repr(written)}}}")).store == store


def test_a_store_may_be_spoken_to_with_mutual_tls(write: Write, place: Path) -> None:
    files = "ca: ../certs/ca.pem, cert: ../certs/gateway.pem, key: ../certs/gateway.key"
    access = "username: gateway, password: secret"
    store = load(write(f"gateway: {{store: {{sentinel: a:1, service: main, tls: true, {files}, {access}}}}}")).store
    folder = place / "certs"
    assert (store.ca, store.cert, store.key) == (folder / "ca.pem", folder / "gateway.pem", folder / "gateway.key")
    assert (store.tls, store.username, store.password) == (True, "gateway", "secret")


@pytest.mark.parametrize(
    ("written", "replicas"),
    [("memory", 0), ("{url: redis://a}", 0), ("{cluster: a:1}", 1), ("{sentinel: a:1, service: main, wait: 0}", 0)],
)
def test_how_many_replicas_must_have_a_grant(written: str, replicas: int, write: Write) -> None:
    assert load(write(f"gateway: {{store: {written}}}")).store.replicas == replicas


def test_services_may_share_a_path_on_different_hosts_and_a_host_on_different_paths(write: Write) -> None:
    one = "{hosts: [%s], path: %s, " + SERVICE[1:]
    places = {"a": ("a.example", "/x"), "b": ("b.example", "/x"), "c": ("a.example", "/x/y")}
    text = "services:\n" + "".join(f"  {name}: {one % place}\n" for name, place in places.items())
    assert load(write(text)).services.keys() == {"a", "b", "c"}
