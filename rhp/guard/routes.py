"""Routes, as rtnetlink(7) wants them: one message there and one back.

A gateway makes a change of this kind with every tunnel that comes or goes, which is why it is not left to the library
that makes the rarer ones: that takes as long for one route as the engine for the whole handshake.
"""

from __future__ import annotations

import errno
import socket
import struct

from rhp.guard.addresses import address, network
from rhp.guard.protocol import AddRoute, RemoveRoute
from rhp.net import netlink

_RTM_NEWROUTE = 24
_RTM_DELROUTE = 25
_CREATE_NEW = 0x400 | 0x200  # NLM_F_CREATE, NLM_F_EXCL
_CREATE_OR_REPLACE = 0x400 | 0x100  # NLM_F_CREATE, NLM_F_REPLACE
_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_PREFSRC = 7
_TABLE_MAIN = 254
_PROTO_STATIC = 4
_SCOPE_UNIVERSE = 0
_SCOPE_NOWHERE = 255  # Which the kernel takes for "any" where a route is deleted.
_UNICAST = 1
_ROUTE = struct.Struct("=BBBBBBBBI")


def add(question: AddRoute, index: int) -> None:
    """Add the route over the interface with that index; OSError where there is one already, or no way to the gateway.

    ValueError for a destination or an address that is none.
    """
    body = _body(question, index, _PROTO_STATIC, _SCOPE_UNIVERSE, _UNICAST)
    netlink.change(_RTM_NEWROUTE, body, _CREATE_NEW)


def again(question: AddRoute, index: int) -> None:
    """Add a route that was added before, and of which the kernel may have taken something since; OSError.

    What leads to its destination over IPv4 is taken for it, and left alone. At no moment is there no route.
    """
    body = _body(question, index, _PROTO_STATIC, _SCOPE_UNIVERSE, _UNICAST)
    try:
        netlink.change(_RTM_NEWROUTE, body, _CREATE_NEW)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
        if network(question.destination).version == 6:
            # With an address the kernel takes IPv4 routes whole, but from an IPv6 route only its source.
            netlink.change(_RTM_NEWROUTE, body, _CREATE_OR_REPLACE)


def delete(question: AddRoute | RemoveRoute, index: int) -> None:
    """Delete that route; OSError with ESRCH where there is none."""
    netlink.change(_RTM_DELROUTE, _body(question, index, 0, _SCOPE_NOWHERE, 0))


def _body(question: AddRoute | RemoveRoute, index: int, protocol: int, scope: int, kind: int) -> bytes:
    wanted = network(question.destination)
    family = socket.AF_INET6 if wanted.version == 6 else socket.AF_INET
    body = _ROUTE.pack(family, wanted.prefixlen, 0, 0, _TABLE_MAIN, protocol, scope, kind, 0)
    body += netlink.attribute(_RTA_DST, wanted.network_address.packed)
    body += netlink.attribute(_RTA_OIF, struct.pack("=I", index))
    for number, text in ((_RTA_PREFSRC, question.source), (_RTA_GATEWAY, question.gateway)):
        if text is not None:
            body += netlink.attribute(number, address(text).packed)
    return body
