"""Envoy's configuration for a level of work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rig.material import LIMIT

TYPE = "type.googleapis.com/envoy.extensions"
ALL = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
BUCKET = {"max_tokens": LIMIT, "tokens_per_fill": LIMIT, "fill_interval": "60s"}


def configuration(folder: Path, values: Mapping[str, str], level: str) -> dict[str, Any]:
    filters = [_filter("router", "router.v3.Router")]
    if level == "local":
        filters.insert(0, _limit())
    if level in ("jwt", "local"):
        filters.insert(0, _token(values))
    manager = {
        "@type": f"{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "30s"}}],
                }
            ]
        },
        "http_filters": filters,
    }
    listener = {
        "name": "bench",
        "address": _address(values["port"]),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(folder, values, level)]}}


def _address(port: str) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": int(port)}}


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}.filters.http.{kind}", **settings}}


def _token(values: Mapping[str, str]) -> dict[str, Any]:
    provider = {
        "issuer": values["issuer"],
        "local_jwks": {"inline_string": values["jwks"]},
        "forward": True,
        "claim_to_headers": [{"header_name": "x-application-id", "claim_name": "azp"}],
        "jwt_cache_config": {"jwt_cache_size": 2000},
    }
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}]
    return _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", providers={"bench": provider}, rules=rules)


def _limit() -> dict[str, Any]:
    by_application = {"request_headers": {"header_name": "x-application-id", "descriptor_key": "application"}}
    return _filter(
        "local_ratelimit",
        "local_ratelimit.v3.LocalRateLimit",
        stat_prefix="limit",
        max_dynamic_descriptors=2000,
        token_bucket=BUCKET,
        filter_enabled=ALL,
        filter_enforced=ALL,
        rate_limits=[{"actions": [by_application]}],
        descriptors=[{"entries": [{"key": "application"}], "token_bucket": BUCKET}],
    )


def _cluster(folder: Path, values: Mapping[str, str], level: str) -> dict[str, Any]:
    port = values["plain_port" if level == "plain" else "upstream_port"]
    cluster: dict[str, Any] = {
        "name": "service",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "service",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }
    if level != "plain":
        pair = {
            "certificate_chain": {"filename": f"{folder}/gateway.pem"},
            "private_key": {"filename": f"{folder}/gateway.key"},
        }
        name = {"san_type": "DNS", "matcher": {"exact": "upstream.test"}}
        version = "TLSv1_3"
        cluster["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "upstream.test",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": version, "tls_maximum_protocol_version": version},
                    "tls_certificates": [pair],
                    "validation_context": {
                        "trusted_ca": {"filename": f"{folder}/ca.pem"},
                        "match_typed_subject_alt_names": [name],
                    },
                },
            },
        }
    return cluster
