"""Another gateway instead of this one (RFC 5685): who is sent where, and how often somebody lets itself be sent.

A gateway sends away whoever said that it can follow: everybody who calls a connection with a standing redirection, or
an IKE SA that is there. A client follows to a gateway that has to prove the same identity as ever, at most five times
in five minutes; it names the address it was sent from, and goes home to its configured address when the new gateway is
lost. The way to the new gateway is the node's: it looks names up and calls `Engine.initiate`.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from re import compile as pattern

from rhp.ike.context import Context
from rhp.ike.errors import Fault, PeerError
from rhp.ike.events import Redirected
from rhp.ike.ike_sa import IkeSa
from rhp.ike.mobility import is_usable
from rhp.ike.path import IpAddress, Path
from rhp.ike.turn import Ending
from rhp.wire.iana import NotifyType

MOST_REDIRECTS = 5
PERIOD = 300.0
"""MAX_REDIRECTS and REDIRECT_LOOP_DETECT_PERIOD of RFC 5685 section 7."""

GONE = Ending("redirected", Fault.NONE, "it goes on at another gateway")
LOOP = Ending("redirect-loop", Fault.PEER, f"it was sent on more than {MOST_REDIRECTS} times in five minutes")

_IPV4, _IPV6, _NAME = 1, 2, 3
_LONGEST_NAME = 253
_HOST = pattern(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway's address or host name."""

    place: IpAddress | str

    @classmethod
    def named(cls, text: str) -> "Gateway":
        """Read an address or a host name. ValueError for anything else."""
        try:
            place = ip_address(text)
        except ValueError:
            pass
        else:
            return cls.at(place)
        # A last label of digits would be an address that is none.
        if len(text) > _LONGEST_NAME or not _HOST.fullmatch(text) or text.rsplit(".", 1)[-1].isdigit():
            raise ValueError(f"{text[:64]!r} is neither an address nor a host name")
        return cls(text.lower())

    @classmethod
    def at(cls, place: IpAddress) -> "Gateway":
        """The gateway at an address. ValueError where no gateway can be: loopback, multicast, link-local, any."""
        if not is_usable(place):
            raise ValueError(f"no other gateway can be at {place}")
        return cls(place)

    def build(self) -> bytes:
        """GW Ident Type, GW Ident Len and the identity (RFC 5685 section 9.2)."""
        if isinstance(self.place, str):
            kind, data = _NAME, self.place.encode("ascii")
        else:
            kind, data = (_IPV4 if self.place.version == 4 else _IPV6), self.place.packed
        return bytes((kind, len(data))) + data

    def __str__(self) -> str:
        return str(self.place)


def parse(data: bytes) -> tuple[Gateway, bytes]:
    """The gateway of a REDIRECT or REDIRECTED_FROM notify, and the nonce behind it. Raises PeerError."""
    kind, length = (data[0], data[1]) if len(data) >= 2 else (0, 0)
    place, nonce = data[2 : 2 + length], data[2 + length :]
    try:
        if kind == _IPV4 and len(place) == length == 4:
            return Gateway.at(IPv4Address(place)), nonce
        if kind == _IPV6 and len(place) == length == 16:
            return Gateway.at(IPv6Address(place)), nonce
        if kind == _NAME and len(place) == length:
            return Gateway.named(place.decode("ascii")), nonce
    except ValueError:
        pass
    raise PeerError("bad-redirect", NotifyType.INVALID_SYNTAX, detail="the peer names no gateway that could be called")


def for_everybody(ctx: Context, path: Path) -> Gateway | None:
    """Where everybody is sent who calls on that path, whoever it is: known before IKE_SA_INIT costs anything."""
    if not ctx.redirects:
        return None
    targets: set[Gateway | None] = set()
    for connection in ctx.directory.serving(path):
        targets.add(ctx.redirects.get(connection.name))
        if len(targets) > 1:
            return None
    return targets.pop() if targets else None


def follow(sa: IkeSa, gateway: Gateway, now: float) -> Ending:
    """As client let ourselves be sent on; how this IKE SA ends."""
    ctx, name = sa.ctx, sa.connection_name
    lately = [when for when in ctx.followed.get(name, ()) if now - when < PERIOD]
    if len(lately) >= MOST_REDIRECTS:
        ctx.count(LOOP.reason)
        return LOOP
    ctx.followed[name] = (*lately, now)
    ctx.count("redirect-followed")
    ctx.emit(Redirected(sa.id, name, gateway.place, sa.path.remote.ip))
    return GONE
