"""Who the client is behind trusted proxies, and what nobody may claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.http.forwarded import Origin, Said, origin, parse_forwarded
from gateway.http.peer import is_among

PROXY = "10.0.0.1"


def trusts(address: str) -> bool:
    return address.startswith("10.") or address == "2001:db8::a"


def of(*addresses: str) -> Origin:
    return origin(PROXY, trusts, Said(addresses=tuple(each.encode() for each in addresses)))


def of_forwarded(*values: str) -> Origin:
    return origin(PROXY, trusts, Said(forwarded=tuple(each.encode() for each in values)))


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["203.0.113.7"], ("203.0.113.7", (PROXY,))),
        (["198.51.100.1, 203.0.113.7"], ("203.0.113.7", (PROXY,))),  # what is left of it, the client may have written
        (["203.0.113.7, 10.1.1.1"], ("203.0.113.7", ("10.1.1.1", PROXY))),
        (["198.51.100.1", "203.0.113.7", "10.1.1.1"], ("203.0.113.7", ("10.1.1.1", PROXY))),
        (["10.3.3.3, 10.1.1.1"], ("10.3.3.3", ("10.1.1.1", PROXY))),  # a proxy's own request
        (["nonsense, 203.0.113.7"], ("203.0.113.7", (PROXY,))),
        (["203.0.113.7:4711"], ("203.0.113.7", (PROXY,))),
        (["[2001:db8::7]:4711"], ("2001:db8::7", (PROXY,))),
        (["2001:db8::7"], ("2001:db8::7", (PROXY,))),
        (["203.0.113.7, 2001:DB8::A"], ("203.0.113.7", ("2001:db8::a", PROXY))),
        ([" 203.0.113.7 \t, ,"], ("203.0.113.7", (PROXY,))),
        (["203.0.113.7, unknown"], (PROXY, ())),
        (["203.0.113.7, _hidden, 10.1.1.1"], ("10.1.1.1", (PROXY,))),
        ([""], (PROXY, ())),
        ([], (PROXY, ())),
    ],
)
def test_the_right_most_hop_that_is_not_trusted_is_the_client(addresses: list[str], found: tuple[str, object]) -> None:
    assert of(*addresses)[:2] == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (["for=198.51.100.1, for=203.0.113.7"], "203.0.113.7"),
        (["for=198.51.100.1", "for=203.0.113.7;proto=https;by=10.0.0.1, for=10.1.1.1"], "203.0.113.7"),
        (['FOR="[2001:db8::7]:4711"'], "2001:db8::7"),
        (['for="203.0.113.7:4711" ; host=a'], "203.0.113.7"),
        ([r'for="203.\0.113.7"'], "203.0.113.7"),
        (["for=unknown"], PROXY),
        (['for=203.0.113.7, for="_gazonk:_x"'], PROXY),
        (["proto=https"], PROXY),
        (['for="1, for=2", for=203.0.113.7'], "203.0.113.7"),
    ],
)
def test_forwarded_is_read_by_its_grammar(values: list[str], found: str) -> None:
    assert of_forwarded(*values).address == found


@pytest.mark.parametrize(
    "value",
    [
        'for="203.0.113.7', "for=203.0.113.7;for=10.0.0.9", "for", "for=", "for=[::1]", "for =203.0.113.7", "=a",
        "for=203.0.113.7 proto=https", 'for="x, for=203.0.113.7', "for=203.0.113.7;;proto=http", "for=nonsense",
        "for=203.0.113.7:99", 'for="203.0.113.256"', 'for="[2001:db8::7"',
    ],
)  # fmt: skip
def test_a_malformed_forwarded_is_refused(value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        of_forwarded(value)
    assert refused.value.code == "forwarded_malformed"


@pytest.mark.parametrize(
    "value",
    ["nonsense", "203.0.113.256", "203.0.113.7, 10.1.1.1.1", "1", "2001:db8::7%eth0", "203.0.113.7:port", "[::1"],
)
def test_a_malformed_address_that_decides_is_refused(value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        of(value)
    assert refused.value.code == "forwarded_malformed"


def test_two_fields_that_disagree_are_refused() -> None:
    """A proxy that writes one of them may pass on the other as the client sent it."""
    both = Said(forwarded=(b"for=203.0.113.7",), addresses=(b"198.51.100.1",))
    with pytest.raises(BadRequest) as refused:
        origin(PROXY, trusts, both)
    assert refused.value.code == "forwarded_ambiguous"
    same = Said(forwarded=(b"for=203.0.113.7;proto=https",), addresses=(b"203.0.113.7",))
    assert origin(PROXY, trusts, same) == Origin("203.0.113.7", (PROXY,), b"https", None)


@pytest.mark.parametrize(
    ("said", "scheme", "host"),
    [
        (Said(protos=(b"HTTPS",), hosts=(b"API.example.com:8443",)), b"https", b"API.example.com:8443"),
        (Said(protos=(b"https, http",), hosts=(b"a, b",)), None, None),
        (Said(protos=(b"https", b"http"), hosts=(b"a", b"b")), None, None),
        (Said(protos=(b"gopher",), hosts=(b'a"b',)), None, None),
        (Said(forwarded=(b"for=1.2.3.4;proto=http, for=203.0.113.7;proto=https;host=a",)), b"https", b"a"),
        (Said(forwarded=(b"proto=http;host=b",), protos=(b"https",), hosts=(b"a",)), b"https", b"a"),
    ],
)
def test_scheme_and_host_are_taken_where_they_are_one(said: Said, scheme: bytes | None, host: bytes | None) -> None:
    assert origin(PROXY, trusts, said)[2:] == (scheme, host)


@given(st.text('0123456789.:abcdef[]%_ ,;="\\for', max_size=60))
def test_whatever_is_said_the_client_is_an_address_or_nobody(text: str) -> None:
    for said in (Said(addresses=(text.encode(),)), Said(forwarded=(text.encode(),))):
        try:
            found = origin(PROXY, trusts, said)
        except BadRequest:
            continue
        assert found.address == PROXY or found.hops[-1] == PROXY
        assert all(trusts(hop) for hop in found.hops)


@given(st.lists(st.ip_addresses(), max_size=5), st.ip_addresses(v=4).filter(lambda a: not trusts(str(a))))
def test_what_the_client_writes_itself_changes_nothing(forged: list[object], client: object) -> None:
    written = [*map(str, forged), str(client)]
    assert of(", ".join(written)).address == str(client)


@given(st.binary(max_size=80))
def test_elements_are_read_or_refused(value: bytes) -> None:
    try:
        elements = list(parse_forwarded(value))
    except BadRequest:
        return
    assert all(elements)


def test_networks() -> None:
    from ipaddress import ip_network

    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert [is_among(peer, networks) for peer in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1%eth0", "fd00::1")] == [
        True
    ] * 4
    assert [is_among(peer, networks) for peer in ("11.0.0.1", "::1", "unix", "", "10.0.0")] == [False] * 5
    assert not is_among("10.1.2.3", ())
