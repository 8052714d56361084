"""Whom an address stands for, where clients are told apart by theirs."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)
def client_of(peer: str) -> str:
    """The address, of IPv6 its /64: one client has all of that (RFC 6177). An IPv4 address in IPv6 is itself."""
    if ":" not in peer:
        return peer
    address = IPv6Address(peer.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def is_among(peer: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address is of one of these. An IPv4 address in IPv6 is itself; what is no address is of none."""
    if not networks:
        return False
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
