"""What the guard gives up once everything is read and the node has been told what to serve: being root.

It keeps what its work takes, and nothing else; whatever it starts gets no more than what its work takes.

    NET_ADMIN           interfaces, addresses, routes, rules, the size of socket buffers
    NET_RAW             the sockets of IP protocol 50 and of ICMP, which it opens for the node
    NET_BIND_SERVICE    the ports of IKE
    DAC_READ_SEARCH     the configuration and the keys, when they are read again: they are root's
    KILL                ending a node that does not end by itself, which is another user's
    BPF                 only with steering = "station": the program of the TAP
    DAC_OVERRIDE, CHOWN only where peers assign name servers: resolv.conf, as long as it is ours
    DAC_OVERRIDE        also where /dev/net/tun is not open to everybody
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rhp.guard.policy import GuardPolicy
from rhp.guard.sandbox import capabilities, process
from rhp.guard.sandbox.accounts import Accounts
from rhp.guard.sandbox.capabilities import Capability

NAME = "rhp-guard"
STARTING = frozenset({Capability.CHOWN, Capability.SETUID, Capability.SETGID, Capability.SETPCAP})
"""What it takes to hand the folders on and to stop being root."""
_TUN = Path("/dev/net/tun")
_OTHERS_MAY = 0o006


def needed(policy: GuardPolicy, tun: Path = _TUN) -> set[Capability]:
    """The capabilities that this policy takes on this machine."""
    found = {
        *(Capability.NET_ADMIN, Capability.NET_RAW, Capability.NET_BIND_SERVICE),
        *(Capability.KILL, Capability.DAC_READ_SEARCH),
    }
    if policy.by_station:
        found.add(Capability.BPF)
    if policy.assigned:
        found |= {Capability.DAC_OVERRIDE, Capability.CHOWN}
    elif tun.stat().st_mode & _OTHERS_MAY != _OTHERS_MAY:
        found.add(Capability.DAC_OVERRIDE)  # Some machines keep the device to root.
    return found


def lacking(policy: GuardPolicy, has: Collection[int]) -> list[str]:
    """The capabilities that a start takes and that are not among those that this process has, by name."""
    return sorted(one.name for one in needed(policy) | STARTING if one not in has)


def enter(accounts: Accounts, policy: GuardPolicy) -> None:
    """Give the rest up. Raises OSError."""
    process.require_one_thread()
    kept = needed(policy)
    # To the process that reads the configuration; and to resolvectl and resolvconf, which have no other business here.
    handed_on = {Capability.DAC_READ_SEARCH}
    if policy.assigned:
        handed_on |= kept & {Capability.NET_ADMIN, Capability.DAC_OVERRIDE}
    process.call_itself(NAME)
    capabilities.bound(kept)
    process.become(accounts.guard, accounts.guard_group, (accounts.group,), keeping=True)
    capabilities.keep(kept, handed_on)
    process.close_up()
