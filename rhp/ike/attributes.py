"""The attributes of a configuration payload that we know: how each is answered, asked for and read.

A registry by attribute type, so that an extension adds its own: `answers` for the side that gives, `reads` for the side
that asked. An attribute that nobody registered is ignored, as RFC 7296 section 3.15.1 wants it; so is a private one of
one program's between any others.
"""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TypeVar

from rhp.ike.assignment import Assignment, Draft, Grant, IpAddress
from rhp.ike.maker import Maker
from rhp.wire import cfg
from rhp.wire.cp import CP, Attribute
from rhp.wire.errors import DecodeError
from rhp.wire.iana import CfgAttribute, CfgType
from rhp.wire.private import RockhopperAttribute

Answer = Callable[[Grant], Iterable[bytes]]
Reading = Callable[[Draft, bytes], None]
A = TypeVar("A", bound=Answer)
R = TypeVar("R", bound=Reading)

PROGRAM = b"rhp"
"""What we say of ourselves; the version is nobody's business but the operator's (RFC 7296 section 5)."""

_LONGEST_VERSION = 128

_answers: dict[int, Answer] = {}
_readers: dict[int, Reading] = {}
_private: dict[int, Maker] = {}


def answers(kind: int, maker: Maker | None = None) -> Callable[[A], A]:
    """Register what is answered to a peer that asks for this attribute: any number of values; with a `maker`, to a
    peer of that one only."""

    def register(answer: A) -> A:
        _keep_private(kind, maker)
        _answers[int(kind)] = answer
        return answer

    return register


def reads(kind: int, maker: Maker | None = None) -> Callable[[R], R]:
    """Register what becomes of this attribute in a reply; it is asked for from then on, with a `maker` of such peers.

    The reader raises DecodeError for a value that cannot be, and gets none that is empty.
    """

    def register(reader: R) -> R:
        _keep_private(kind, maker)
        _readers[int(kind)] = reader
        return reader

    return register


def _keep_private(kind: int, maker: Maker | None) -> None:
    if maker is not None:
        _private[int(kind)] = maker
    else:
        _private.pop(int(kind), None)


def _is_known(kind: int, maker: Maker) -> bool:
    """Whether a number means to a peer of that maker what it means to us."""
    return _private.get(kind, maker) is maker


def request(hint: Assignment | None, maker: Maker) -> CP:
    """Ask a peer of that maker for all that we can read, and for the addresses that we had before."""
    had = {one.version: one for one in hint.addresses} if hint is not None else {}
    values = {
        int(CfgAttribute.INTERNAL_IP4_ADDRESS): had[4].ip.packed if 4 in had else b"",
        int(CfgAttribute.INTERNAL_IP6_ADDRESS): had[6].ip.packed + b"\x80" if 6 in had else b"",
    }
    return CP(
        CfgType.REQUEST, tuple(Attribute(kind, values.get(kind, b"")) for kind in _readers if _is_known(kind, maker))
    )


def reply(asked: CP, grant: Grant, maker: Maker) -> CP:
    """Answer what a peer of that maker asked for, each kind once, and only what there is."""
    kinds = dict.fromkeys(one.type for one in asked.attributes if _is_known(one.type, maker))
    if not {CfgAttribute.INTERNAL_IP4_DNS, CfgAttribute.INTERNAL_IP6_DNS} & kinds.keys():
        kinds.pop(CfgAttribute.INTERNAL_DNS_DOMAIN, None)  # RFC 8598 section 3.1: names go with servers only.
    found = [Attribute(kind, value) for kind in kinds if kind in _answers for value in _answers[kind](grant)]
    return CP(CfgType.REPLY, tuple(found))


def read(given: CP, bad: Callable[[str], None], maker: Maker) -> Draft:
    """Read the reply of a peer of that maker; what is malformed is left out, and `bad` hears why."""
    draft = Draft()
    for one in given.attributes:
        reader = _readers.get(one.type)
        if reader is None or not one.value or not _is_known(one.type, maker):
            continue
        try:
            reader(draft, one.value)
        except DecodeError as error:
            bad(error.reason)
    return draft


def wanted(asked: CP, version: int, bad: Callable[[str], None]) -> tuple[bool, IpAddress | None]:
    """Whether an address of that IP version is asked for, and which one the peer would like."""
    kind = CfgAttribute.INTERNAL_IP4_ADDRESS if version == 4 else CfgAttribute.INTERNAL_IP6_ADDRESS
    found = next((one for one in asked.attributes if one.type == kind), None)
    if found is None:
        return False, None
    try:
        if version == 4:
            return True, cfg.read_ip4(found.value)
        ip6 = cfg.read_interface6(found.value)
        return True, ip6.ip if ip6 is not None else None
    except DecodeError as error:
        bad(error.reason)
        return True, None


def supported() -> tuple[int, ...]:
    """The attributes that we answer to anybody."""
    return tuple(sorted(_answers.keys() - _private.keys()))


@answers(CfgAttribute.INTERNAL_IP4_ADDRESS)
def _ip4(grant: Grant) -> Iterator[bytes]:
    yield from (one.packed for one in _leased(grant) if isinstance(one, IPv4Address))


@answers(CfgAttribute.INTERNAL_IP4_NETMASK)
def _netmask(grant: Grant) -> Iterator[bytes]:
    """A netmask means a link (RFC 7296 section 3.15.1); in tunnel mode there is none."""
    if grant.mode == "ethernet":
        yield from (cfg.write_netmask(pool.prefix) for _, pool in grant.leases if pool.version == 4)


@answers(CfgAttribute.INTERNAL_IP6_ADDRESS)
def _ip6(grant: Grant) -> Iterator[bytes]:
    for lease, pool in grant.leases:
        if isinstance(lease.address, IPv6Address):
            prefix = pool.prefix if grant.mode == "ethernet" else 128
            yield cfg.write_interface6(IPv6Interface((lease.address, prefix)))


@answers(CfgAttribute.INTERNAL_IP4_DNS)
def _dns4(grant: Grant) -> Iterator[bytes]:
    yield from (ip.packed for _, pool in grant.leases for ip in pool.dns if ip.version == 4)


@answers(CfgAttribute.INTERNAL_IP6_DNS)
def _dns6(grant: Grant) -> Iterator[bytes]:
    yield from (ip.packed for _, pool in grant.leases for ip in pool.dns if ip.version == 6)


@answers(CfgAttribute.INTERNAL_IP4_NBNS)
def _nbns(grant: Grant) -> Iterator[bytes]:
    yield from (ip.packed for _, pool in grant.leases for ip in pool.nbns)


@answers(CfgAttribute.INTERNAL_IP4_SUBNET)
def _subnet4(grant: Grant) -> Iterator[bytes]:
    for _, pool in grant.leases:
        yield from (cfg.write_subnet4(net) for net in pool.subnets if isinstance(net, IPv4Network))


@answers(CfgAttribute.INTERNAL_IP6_SUBNET)
def _subnet6(grant: Grant) -> Iterator[bytes]:
    for _, pool in grant.leases:
        yield from (cfg.write_subnet6(net) for net in pool.subnets if isinstance(net, IPv6Network))


@answers(CfgAttribute.INTERNAL_DNS_DOMAIN)
def _domains(grant: Grant) -> Iterator[bytes]:
    names = dict.fromkeys(name for _, pool in grant.leases if pool.dns for name in pool.domains)
    yield from map(cfg.write_domain, names)


@answers(CfgAttribute.APPLICATION_VERSION)
def _version(grant: Grant) -> Iterator[bytes]:
    yield PROGRAM


@answers(CfgAttribute.SUPPORTED_ATTRIBUTES)
def _supported(grant: Grant) -> Iterator[bytes]:
    yield cfg.write_supported(supported())


@answers(RockhopperAttribute.DNS_SUFFIX, Maker.ROCKHOPPER)
def _suffixes(grant: Grant) -> Iterator[bytes]:
    yield from _domains(grant)


@answers(RockhopperAttribute.IP4_GATEWAY, Maker.ROCKHOPPER)
def _gateway4(grant: Grant) -> Iterator[bytes]:
    """Ourselves, on the Ethernet that we share."""
    if grant.station is not None and grant.station.ip4 is not None:
        yield grant.station.ip4.packed


@answers(RockhopperAttribute.IP6_GATEWAY, Maker.ROCKHOPPER)
def _gateway6(grant: Grant) -> Iterator[bytes]:
    if grant.station is not None and grant.station.ip6 is not None:
        yield grant.station.ip6.packed


def _leased(grant: Grant) -> Iterator[IpAddress]:
    yield from (lease.address for lease, _ in grant.leases)


@reads(CfgAttribute.INTERNAL_IP4_ADDRESS)
def _read_ip4(draft: Draft, value: bytes) -> None:
    """The first one counts, if it can be a host's: never one that would mean something else to this machine."""
    address = cfg.read_ip4(value)
    if draft.ip4 is None and address is not None:
        _check_host(address)
        draft.ip4 = address


@reads(CfgAttribute.INTERNAL_IP6_ADDRESS)
def _read_ip6(draft: Draft, value: bytes) -> None:
    interface = cfg.read_interface6(value)
    if draft.ip6 is None and interface is not None:
        _check_host(interface.ip)
        draft.ip6 = interface


@reads(CfgAttribute.INTERNAL_IP4_NETMASK)
def _read_netmask(draft: Draft, value: bytes) -> None:
    draft.prefix4 = cfg.read_netmask(value)


@reads(CfgAttribute.INTERNAL_IP4_DNS)
def _read_dns4(draft: Draft, value: bytes) -> None:
    _server(draft.dns, cfg.read_ip4(value))


@reads(CfgAttribute.INTERNAL_IP6_DNS)
def _read_dns6(draft: Draft, value: bytes) -> None:
    _server(draft.dns, cfg.read_ip6(value))


@reads(CfgAttribute.INTERNAL_IP4_NBNS)
def _read_nbns(draft: Draft, value: bytes) -> None:
    _server(draft.nbns, cfg.read_ip4(value))


@reads(CfgAttribute.INTERNAL_IP4_SUBNET)
def _read_subnet4(draft: Draft, value: bytes) -> None:
    if (net := cfg.read_subnet4(value)) is not None:
        draft.subnets.append(net)


@reads(CfgAttribute.INTERNAL_IP6_SUBNET)
def _read_subnet6(draft: Draft, value: bytes) -> None:
    if (net := cfg.read_subnet6(value)) is not None:
        draft.subnets.append(net)


@reads(CfgAttribute.INTERNAL_DNS_DOMAIN)
def _read_domain(draft: Draft, value: bytes) -> None:
    if (name := cfg.read_domain(value)) is not None:
        draft.domains.append(name)


@reads(CfgAttribute.APPLICATION_VERSION)
def _read_version(draft: Draft, value: bytes) -> None:
    draft.version = value[:_LONGEST_VERSION].decode("utf-8", "replace")


@reads(RockhopperAttribute.DNS_SUFFIX, Maker.ROCKHOPPER)
def _read_suffix(draft: Draft, value: bytes) -> None:
    """A name as in INTERNAL_DNS_DOMAIN; a dot in front of it, or a NUL behind, changes nothing."""
    _read_domain(draft, value.rstrip(b"\0").lstrip(b"."))


@reads(RockhopperAttribute.IP4_GATEWAY, Maker.ROCKHOPPER)
def _read_gateway4(draft: Draft, value: bytes) -> None:
    _server(draft.gateways, cfg.read_ip4(value))


@reads(RockhopperAttribute.IP6_GATEWAY, Maker.ROCKHOPPER)
def _read_gateway6(draft: Draft, value: bytes) -> None:
    _server(draft.gateways, cfg.read_ip6(value))


def _server(servers: list[IpAddress], address: IpAddress | None) -> None:
    if address is not None:
        _check_host(address)
        servers.append(address)


def _check_host(address: IpAddress) -> None:
    if address.is_unspecified or address.is_multicast or address.is_loopback or address.is_link_local:
        raise DecodeError("bad-attribute-value")
    if address.version == 4 and int(address) >= 0xF0000000:
        raise DecodeError("bad-attribute-value")
