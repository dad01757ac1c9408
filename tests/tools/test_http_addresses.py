"""The tool for HTTP: where it does not go, whatever an address is called."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima_tools import Workspace
from anima_tools.builtin._addresses import is_allowed, is_public

from .conftest import Call
from .web import Server, ok, to

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_the_one_that_it_stands_for(address: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_public(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))) == is_public(str(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0", "169.254.169.254"]
)
async def test_a_private_address_is_refused_in_every_spelling(host: str, call: Call) -> None:
    result = await call("http", url=f"http://{host}/")
    assert result.failed
    assert result.content.startswith("AddressRefused: "), result.content
    assert "can allow it by name" in result.content


async def test_a_name_with_a_private_address_is_refused(names: dict[str, list[list[str]]], call: Call) -> None:
    names["evil.example"] = [["1.1.1.1", "192.168.1.1"]]
    result = await call("http", url="https://evil.example/")
    assert result.content.startswith("AddressRefused: evil.example has the address 192.168.1.1, which is not one")


async def test_a_redirect_to_a_private_address_is_refused(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    names["localhost"] = [["127.0.0.1"]]
    names["evil.example"] = [["127.0.0.1"]]
    server.answers["/"] = to(server.url("/secret", "evil.example"))
    result = await call("http", url=server.url())
    assert result.content.startswith("AddressRefused: evil.example")
    assert len(server.requests) == 1


async def test_the_connection_goes_to_the_address_that_was_checked(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    """A name server that says something else when it is asked again is not asked again."""
    names["localhost"] = [["127.0.0.1"], ["203.0.113.1"]]
    server.answers["/"] = ok("x")
    assert (await call("http", url=server.url())).content.endswith("x")


async def test_the_next_address_is_tried_where_the_first_does_not_answer(
    names: dict[str, list[list[str]]], call: Call, server: Server
) -> None:
    names["localhost"] = [["127.0.0.2", "127.0.0.1"]]  # nobody listens at the first
    server.answers["/"] = ok("x")
    assert (await call("http", url=server.url())).content.endswith("x")


@pytest.mark.parametrize(
    ("allowed", "host", "port", "is_so"),
    [
        ([], "db", 80, False),
        (["db"], "db", 80, True),
        (["db"], "DB.", 80, True),
        (["DB"], "db", 80, True),
        (["db"], "my.db", 80, False),
        (["db:81"], "db", 80, False),
        (["db:81"], "db", 81, True),
        (["[::1]:81"], "::1", 81, True),
        (["[::1]"], "::1", 81, True),
    ],
)
def test_hosts_are_allowed_by_name(allowed: list[str], host: str, port: int, is_so: bool, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path, allow_hosts=allowed)
    assert is_allowed(host, port, workspace) is is_so
    assert is_allowed(host, port, Workspace(tmp_path, tmp_path, allow_private=True))
