"""Which addresses HTTP may go to: those of the public internet, and what is allowed by name."""

from __future__ import annotations

import ipaddress
import socket

import trio

from .._errors import AddressRefused, HttpFailed
from .._invocation import Workspace

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 addresses that stand for an IPv4 one which is in their last bits: a translator (NAT64) sends it there.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, also in what it embeds."""
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    return _public(ip) and all(_public(inner) for inner in _embedded(ip))


def _public(ip: Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip in _TRANSLATED):
        return True  # the embedded one decides
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or site_local)


def _embedded(ip: Address) -> list[Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    found: list[Address] = [inner for inner in (ip.ipv4_mapped, ip.sixtofour) if inner is not None]
    if ip.teredo is not None:
        found += ip.teredo
    if ip in _TRANSLATED:
        found.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return found


def is_allowed(host: str, port: int, workspace: Workspace) -> bool:
    """Whether a host may be reached whatever its address is."""
    host = host.lower().rstrip(".")
    names = {host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}"}
    return workspace.allow_private or any(name.lower() in names for name in workspace.allow_hosts)


async def addresses_of(host: str, port: int, workspace: Workspace) -> list[str]:
    """The addresses of a host, each checked: to connect to one of them, and not to the name, which may be another one
    by then. Waits for the name server. Raises `AddressRefused`, `HttpFailed`.
    """
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HttpFailed(f"the host {host!r} is not known: {getattr(error, 'strerror', None) or error}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not is_allowed(host, port, workspace):
        for address in addresses:
            if not is_public(address):
                raise AddressRefused(
                    f"{host} has the address {address}, which is not one of the public internet; "
                    "whoever runs this agent can allow it by name"
                )
    return addresses
