"""What the control plane hands to the data plane: plain immutable values, no behaviour."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Mode = Literal["ethernet", "tunnel"]
Encapsulation = Literal["udp", "esp"]
PortKind = Literal["ethernet", "ip"]
Steering = Literal["flow", "station"]


class Selector(NamedTuple):
    """One traffic selector (RFC 7296 section 3.13.1): an inclusive address range, a protocol (0 = any), a port range.

    For ICMP the port range is (type << 8 | code), as in the RFC.
    """

    start: str
    end: str
    protocol: int = 0
    start_port: int = 0
    end_port: int = 65535


@dataclass(frozen=True, slots=True)
class SaParams:
    """A pair of ESP SAs (RFC 4303), one inbound and one outbound, that serve one hub port.

    SPIs are integers in host order. An encryption key carries its salt at the end, as IKEv2 derives it (RFC 4106
    section 8.1). `integrity` is 0 and its keys empty for AEAD suites. `replay_window` is in packets, 32 to 4096.
    The pair is over, in the direction that reaches it first, after `packet_limit` packets or `octet_limit` octets of
    payload, and says so; it says that it nears its end after `packet_warn` or `octet_warn`. 0 is none of its own: then
    the sequence numbers are the limit, and seven eighths of the packets the moment to warn.
    Only the lane `lane` sends on the pair, if one is given; else every lane that has no pair of its own (RFC 9611).
    """

    port: int
    spi_in: int
    spi_out: int
    mode: Mode
    encryption: int
    encryption_key_in: bytes = field(repr=False)
    encryption_key_out: bytes = field(repr=False)
    local_ip: str
    remote_ip: str
    local_port: int = 4500
    remote_port: int = 4500
    integrity: int = 0
    integrity_key_in: bytes = field(default=b"", repr=False)
    integrity_key_out: bytes = field(default=b"", repr=False)
    esn: bool = False
    replay_window: int = 1024
    encapsulation: Encapsulation = "udp"
    outbound_active: bool = True
    packet_limit: int = 0
    packet_warn: int = 0
    octet_limit: int = 0
    octet_warn: int = 0
    lane: int | None = None
