"""What stands in the attributes of a configuration payload: octets of the RFCs, and everything that is not."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp.wire import cfg
from rhp.wire.errors import DecodeError

V6 = bytes.fromhex("20010db8000000000000000000000001")
READERS = [getattr(cfg, name) for name in dir(cfg) if name.startswith("read_")]

GOLDEN = [
    (cfg.read_ip4, attrgetter("packed"), "0a580002", IPv4Address("10.88.0.2")),
    (cfg.read_ip6, attrgetter("packed"), V6.hex(), IPv6Address("2001:db8::1")),
    (cfg.read_interface6, cfg.write_interface6, V6.hex() + "40", IPv6Interface("2001:db8::1/64")),
    (cfg.read_netmask, cfg.write_netmask, "ffffff00", 24),
    (cfg.read_netmask, cfg.write_netmask, "00000000", 0),
    (cfg.read_netmask, cfg.write_netmask, "ffffffff", 32),
    (cfg.read_subnet4, cfg.write_subnet4, "0a000000ff000000", IPv4Network("10.0.0.0/8")),
    (cfg.read_subnet6, cfg.write_subnet6, "20010db8" + "00" * 12 + "20", IPv6Network("2001:db8::/32")),
    (cfg.read_domain, cfg.write_domain, b"corp.example".hex(), "corp.example"),
]


@pytest.mark.parametrize(("read", "write", "octets", "value"), GOLDEN)
def test_values_are_read_and_written(read, write, octets, value):
    assert read(bytes.fromhex(octets)) == value
    assert write(value) == bytes.fromhex(octets)


def test_the_attributes_that_we_support_are_written():
    assert cfg.write_supported((1, 8, 25)) == bytes.fromhex("000100080019")


@pytest.mark.parametrize("read", READERS)
def test_an_empty_value_asks(read):
    assert read(b"") is None


@pytest.mark.parametrize(
    ("read", "octets"),
    [
        (cfg.read_ip4, "0a5800"),
        (cfg.read_ip4, "0a58000200"),
        (cfg.read_ip6, V6.hex() + "40"),
        (cfg.read_interface6, V6.hex() + "81"),
        (cfg.read_interface6, V6.hex()[:-2]),
        (cfg.read_netmask, "ff00ff00"),
        (cfg.read_netmask, "000000ff"),
        (cfg.read_subnet4, "0a000000"),
        (cfg.read_subnet4, "0a000000000000ff"),
        (cfg.read_subnet6, V6.hex()),
        (cfg.read_subnet6, V6.hex() + "ff"),
    ],
)
def test_what_cannot_be_is_refused(read, octets):
    with pytest.raises(DecodeError, match="bad-attribute"):
        read(bytes.fromhex(octets))


def test_an_ip6_address_without_a_prefix_length_is_one_host():
    assert cfg.read_interface6(V6) == IPv6Interface("2001:db8::1/128")


def test_bits_behind_a_mask_are_dropped():
    assert cfg.read_subnet4(bytes.fromhex("0a010203ffff0000")) == IPv4Network("10.1.0.0/16")
    assert cfg.read_subnet6(V6 + b"\x40") == IPv6Network("2001:db8::/64")


@pytest.mark.parametrize("name", [b"Corp.Example.", b"_srv.x", b"a" * 63 + b".b", b"xn--mller-kva.de"])
def test_names_that_a_resolver_takes(name):
    assert cfg.read_domain(name) == name.decode().lower().rstrip(".")


@pytest.mark.parametrize(
    "name",
    [
        b".",
        b"a..b",
        b"-a",
        b"a-",
        b"a b",
        b"a\nnameserver 6.6.6.6",
        b"a\0",
        b"\xc3\xbc.de",
        b"a" * 64,
        b"a." * 127 + b"a",
    ],
)
def test_names_that_could_be_something_else_are_refused(name):
    with pytest.raises(DecodeError):
        cfg.read_domain(name)


@pytest.mark.parametrize("read", READERS)
@given(octets=st.binary(max_size=64))
def test_any_octets_are_read_or_refused(read, octets):
    try:
        value = read(octets)
    except DecodeError:
        return
    assert (value is None) == (octets == b"")
