"""How long packets may be on their way to the peers, as far as this machine knows."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, note, problem
from rhp.net.route import interface_mtu

SUBJECT = "mtu"
SMALLEST = 1280
USUAL = 1500


def look(loaded: Loaded) -> Iterator[Finding]:
    """The first hop to each address that a connection calls. Host names are not looked up."""
    for connection in loaded.engine.connections:
        for network in connection.remote_addrs:
            if network.num_addresses > 1:
                continue
            address = network[0]
            what = f"connection {connection.name}: packets to {address}"
            try:
                mtu = interface_mtu(address)
            except OSError as error:
                if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES):
                    advice = "bring the interface up, or add a route there"
                    yield problem(SUBJECT, f"{what} have no route: {error.strerror}", advice)
                continue
            yield _judge(what, mtu)


def _judge(what: str, mtu: int) -> Finding:
    if mtu < SMALLEST:
        return problem(
            SUBJECT, f"{what} may have {mtu} octets, too few for an IPv6 tunnel", "raise the MTU of that interface"
        )
    if mtu < USUAL:
        return note(SUBJECT, f"{what} may have {mtu} octets; the tunnel's MTU is smaller by that")
    return fine(SUBJECT, f"{what} may have {mtu} octets")
