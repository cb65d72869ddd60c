"""The node's interfaces, one a hub: left over, taken, or without the bridge to join; and how the kernel forwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from rhp.config.loading import Loaded
from rhp.diagnosis.finding import Finding, fine, note, problem
from rhp.node.settings import InterfaceSettings

_SYS = Path("/sys/class/net")
_NET = Path("/proc/sys/net")
_STRICT = "1"
_IFF_UP = 0x1


def look(loaded: Loaded, served: Collection[str] | None, sys: Path = _SYS) -> Iterator[Finding]:
    """The interface of every hub, and its bridge; `served` are the interfaces of the node that runs here, if any."""
    for key, device in devices(loaded):
        if served is not None and device.name not in served:
            said = f"{device.name} ({key}) is not among the running node's interfaces: the file is newer than the node"
            yield note("interface", said, "run rhp reload, or restart the node where it says so")
        else:
            yield from leftovers(device.name, running=served is not None, key=key, sys=sys)
        yield from bridge(device.bridge, key=key, sys=sys)


def devices(loaded: Loaded) -> Iterator[tuple[str, InterfaceSettings]]:
    """The interface of every hub, each with the table that it is configured in."""
    yield "interface", loaded.settings.interface
    for hub in loaded.settings.hubs:
        yield f"hubs.{hub.name}.interface", hub.interface


def leftovers(name: str, *, running: bool, key: str = "interface", sys: Path = _SYS) -> Iterator[Finding]:
    """Whether the interface is there exactly when the node runs."""
    there = (sys / name).exists()
    if running and not there:
        yield problem("interface", f"the node runs, and its interface {name} has vanished", "wait, or restart the node")
    elif not running and there:
        kind = (
            "a TAP that another program made" if (sys / name / "tun_flags").exists() else "an interface of another kind"
        )
        yield problem(
            "interface",
            f"{name} is there although no node runs here: {kind}",
            f"run ip link delete {name}, or write another {key}.name",
        )
    else:
        yield fine("interface", f"{name} is the running node's" if running else f"the name {name} is free")


def bridge(name: str | None, *, key: str = "interface", sys: Path = _SYS) -> Iterator[Finding]:
    """Whether the bridge that the interface is to join is one, and is switched on."""
    if name is None:
        return
    if not (sys / name).exists():
        yield problem("bridge", f"there is no bridge {name}", f"run ip link add {name} type bridge")
    elif not (sys / name / "bridge").exists():
        yield problem("bridge", f"{name} is no bridge", f"write the name of a bridge into {key}.bridge")
    elif not _is_up(sys / name):
        yield problem("bridge", f"{name} is down, so nothing leaves it", f"run ip link set {name} up")
    else:
        yield fine("bridge", f"{name} is there")


def forwarding(loaded: Loaded, net: Path = _NET, *, running: bool = False) -> Iterator[Finding]:
    """Whether packets of peers in tunnel mode get further than this machine; a node that starts may see to it."""
    will_be = loaded.policy.firewall.forward and not running
    for version, words, key in ((4, "IPv4", "ipv4/ip_forward"), (6, "IPv6", "ipv6/conf/all/forwarding")):
        whose = [name for name, behind in networks_behind_us(loaded) if behind == version]
        if not whose:
            continue
        if will_be:
            yield fine("forwarding", f"[firewall] has the node switch on that this machine forwards {words}")
        elif _read(net / key) == "0":
            who = ", ".join(dict.fromkeys(whose))
            yield problem(
                "forwarding",
                f"this machine forwards no {words}, so the peers of {who} reach nothing behind it",
                f"run sysctl -w net.{key.replace('/', '.')}=1, and write it into /etc/sysctl.d",
            )
        else:
            yield fine("forwarding", f"this machine forwards {words}")


def reverse_path(loaded: Loaded, net: Path = _NET) -> Iterator[Finding]:
    """Whether the kernel throws away what comes by another way than answers would go (rp_filter, RFC 3704)."""
    if not any(child.mode == "tunnel" for one in loaded.engine.connections for child in one.children):
        return
    strict = [device.name for _, device in devices(loaded) if _is_strict(device.name, net / "ipv4" / "conf")]
    for name in strict:
        yield note(
            "rp_filter",
            f"the kernel drops IPv4 packets from {name} that it would not answer there (rp_filter is strict)",
            f"where peers send from more addresses than have routes, run sysctl -w net.ipv4.conf.{name}.rp_filter=2",
        )
    if not strict:
        yield fine("rp_filter", "the kernel takes packets by whatever way they come")


def _is_strict(name: str, conf: Path) -> bool:
    # The greater of the two counts (Documentation/networking/ip-sysctl); a new interface begins as "default".
    own = _read(conf / name / "rp_filter") or _read(conf / "default" / "rp_filter")
    return max(_read(conf / "all" / "rp_filter") or "0", own or "0") == _STRICT


def networks_behind_us(loaded: Loaded) -> Iterator[tuple[str, int]]:
    """Each connection with the IP version of a network of ours that its peers may reach, beyond this machine.

    What lies in the network of an interface of ours is at hand without forwarding.
    """
    near = [address.network for _, device in devices(loaded) for address in device.addresses]
    for connection in loaded.engine.connections:
        for child in connection.children:
            if child.mode != "tunnel":
                continue
            for selector in child.local_ts:
                at_hand = any(selector.start in network and selector.end in network for network in near)
                if selector.start != selector.end and not at_hand:
                    yield connection.name, selector.start.version


def _is_up(interface: Path) -> bool:
    flags = _read(interface / "flags")
    return flags is None or bool(int(flags, 16) & _IFF_UP)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return None
