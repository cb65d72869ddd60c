"""What must hold between keys, after each was read by itself: names, identities, authentication, children, the hub.

Each function notes its mistakes and returns nothing, so that all of them run. A key that was wrong in itself is not
complained about a second time for being absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from rhp.config import values
from rhp.config.model import Child, Configuration, Connection
from rhp.config.pool_checks import check_pools
from rhp.config.reading import Findings
from rhp.config.suggest import nearest, one_of
from rhp.ike import extensions
from rhp.ike.errors import LocalError
from rhp.node.metrics.address import TcpAddress

SHORTEST = "[connections.office] with psk_file, local.id and remote.id"
_EXAMPLE_ID = "a.example.org"
LEAST_BYTES = 100 << 20
LEAST_PACKETS = 100_000


def check(configuration: Configuration, findings: Findings) -> None:
    """Run every check over the whole configuration."""
    if configuration.node.port == configuration.node.natt_port:
        findings.add(("node", "natt_port"), "this is node.port as well; write another port, such as 4500")
    _check_cpus(configuration, findings)
    _check_extensions(configuration, findings)
    _check_metrics(configuration, findings)
    if not configuration.connections and not findings.was_wrong("connections"):
        findings.add((), f"there is no connection; write a table such as {SHORTEST}")
    _check_names("connections", (), configuration.connections, findings)
    for name, connection in configuration.connections.items():
        _check_connection(name, connection, findings)
    _check_distinct(configuration, findings)
    _check_static(configuration, findings)
    _check_mtu(configuration, findings)
    _check_names("pools", (), configuration.pools, findings)
    check_pools(configuration, findings)


def _check_metrics(configuration: Configuration, findings: Findings) -> None:
    address = configuration.node.metrics
    if isinstance(address, TcpAddress) and not address.ip.is_loopback:
        message = (
            "whoever reaches this address can read the metrics; write 127.0.0.1, or let a firewall stand before it"
        )
        findings.add(("node", "metrics"), message, warning=True)


def auth_methods(connection: Connection) -> tuple[str, str]:
    """Our way to authenticate and the peer's: what is written, else what the keys beside it suggest.

    "null" is never suggested: it holds for the side for which it is written.
    """
    local, remote = connection.local, connection.remote
    ours = local.auth or ("pubkey" if local.certs or local.key else None)
    theirs = remote.auth or ("pubkey" if remote.cas else None)
    default = "psk" if connection.psk or connection.psk_file else None
    mirrored = {"pubkey": "pubkey", "psk": "psk"}
    return (
        ours or default or mirrored.get(theirs or "", "psk"),
        theirs or default or mirrored.get(ours or "", "psk"),
    )


def starts(connection: Connection) -> str:
    """Whether this connection is begun by us: what is written, else whether there is somebody to call."""
    return connection.start or ("initiate" if connection.remote_addrs else "wait")


def _check_names(kind: str, place: tuple[str, ...], names: Iterable[str], findings: Findings) -> None:
    seen: dict[str, str] = {}
    for name in names:
        try:
            values.name(name)
        except ValueError as error:
            findings.add((*place, kind, name), str(error))
        if other := seen.get(name.lower()):
            findings.add((*place, kind, name), f"this name differs from {other} only in capitals; write another one")
        seen.setdefault(name.lower(), name)


def _check_connection(name: str, connection: Connection, findings: Findings) -> None:
    here = ("connections", name)
    ours, theirs = auth_methods(connection)
    if connection.local.id is None and ours != "null" and not findings.was_wrong(*here, "local", "id"):
        findings.add((*here, "local", "id"), f'it is missing; write who this node is, such as "{_EXAMPLE_ID}"')
    if connection.remote.id is None and theirs != "null" and not findings.was_wrong(*here, "remote", "id"):
        findings.add(
            (*here, "remote", "id"), 'it is missing; write who the peer is, such as "b.example.org", or "%any"'
        )
    _check_psk_keys(here, connection, ours, theirs, findings)
    _check_null(here, connection, ours, theirs, findings)
    _check_ppk_keys(here, connection, findings)
    _check_certificate_keys(here, connection, ours, theirs, findings)
    _check_addresses(here, connection, findings)
    _check_warnings(here, "proposals", connection.proposals, findings)
    if connection.over_time == 0:
        findings.add(
            (*here, "over_time"), 'no time would be left for a rekey; write for example "24m", or leave it out'
        )
    if 0 < connection.rekey_time < 60:
        findings.add((*here, "rekey_time"), "this rekeys more than once a minute; write at least 60", warning=True)
    if 0 < connection.reauth_time < 60:
        findings.add((*here, "reauth_time"), "each side may prove itself once a minute at most; write at least 60")
    _check_names("children", here, connection.children, findings)
    for child_name, child in connection.children.items():
        _check_child((*here, "children", child_name), child, connection, findings)


def _check_psk_keys(here: tuple[str, ...], connection: Connection, ours: str, theirs: str, findings: Findings) -> None:
    given = connection.psk is not None or connection.psk_file is not None
    if connection.psk is not None and connection.psk_file is not None:
        findings.add((*here, "psk"), "psk and psk_file are both there; leave one of them out")
    if "psk" in (ours, theirs):
        wrong = findings.was_wrong(*here, "psk") or findings.was_wrong(*here, "psk_file")
        if not given and not wrong:
            place, name = (*here, "psk_file"), here[-1]
            findings.add(
                place,
                f'neither a key nor a certificate is given; write psk_file = "{name}.psk" (rhp keygen psk makes one), '
                "or local.certs, local.key and remote.cas",
            )
    elif given:
        key = "psk" if connection.psk is not None else "psk_file"
        findings.add((*here, key), "neither side proves itself by a shared key, so this is never used; leave it out")


def _check_null(here: tuple[str, ...], connection: Connection, ours: str, theirs: str, findings: Findings) -> None:
    """Who proves nothing has no name (RFC 7619), and should not be shown what a shared key can be guessed from."""
    for side, method, identity in (("local", ours, connection.local.id), ("remote", theirs, connection.remote.id)):
        if method == "null" and identity is not None:
            findings.add((*here, side, "id"), f'{side}.auth is "null", and nobody proves this name; leave it out')
    if {ours, theirs} == {"psk", "null"} and (connection.psk is not None or connection.psk_file is not None):
        side = "remote" if theirs == "null" else "local"
        findings.add(
            (*here, side, "auth"),
            'any stranger gets a proof from which a shared key can be guessed; write "null" beside certificates alone',
        )
    if theirs == "null":
        findings.add(
            (*here, "remote", "auth"),
            "whoever reaches this node is let in, and nothing tells one from another",
            warning=True,
        )
    if theirs == "null" and starts(connection) == "initiate":
        findings.add(
            (*here, "remote", "auth"),
            "whoever answers in the peer's place gets what is sent there; let the peer use a certificate",
            warning=True,
        )


def _check_ppk_keys(here: tuple[str, ...], connection: Connection, findings: Findings) -> None:
    if connection.ppk is not None and connection.ppk_file is not None:
        findings.add((*here, "ppk"), "ppk and ppk_file are both there; leave one of them out")
    given = connection.ppk is not None or connection.ppk_file is not None
    wrong = any(findings.was_wrong(*here, key) for key in ("ppk_id", "ppk", "ppk_file"))
    if given and connection.ppk_id is None and not wrong:
        key = "ppk" if connection.ppk is not None else "ppk_file"
        findings.add((*here, key), 'a PPK is found by its name; write ppk_id = "office-1", the same at both ends')
    if connection.ppk_id is not None and not given and not wrong:
        findings.add(
            (*here, "ppk_id"), f'the key is missing; write ppk_file = "{here[-1]}.ppk" (rhp keygen ppk makes one)'
        )
    if "ppk_required" in connection.model_fields_set and not (given or connection.ppk_id or wrong):
        findings.add((*here, "ppk_required"), "there is no PPK; write ppk_id and ppk_file, or leave this out")


def _check_certificate_keys(
    here: tuple[str, ...], connection: Connection, ours: str, theirs: str, findings: Findings
) -> None:
    needed = {
        ("local", "certs"): (ours, connection.local.certs, 'write our certificate\'s file, such as "node.pem"'),
        ("local", "key"): (ours, connection.local.key, 'write our private key\'s file, such as "node.key"'),
        ("remote", "cas"): (theirs, connection.remote.cas, 'write the file of the CA to trust, such as "ca.pem"'),
    }
    for place, (method, value, hint) in needed.items():
        if method == "pubkey" and not value and not findings.was_wrong(*here, *place):
            findings.add((*here, *place), f"it is missing, and certificates need it; {hint}")
        if method != "pubkey" and value:
            findings.add((*here, *place), f"{place[0]}.auth is {method}, so this is never used; leave it out")


def _check_addresses(here: tuple[str, ...], connection: Connection, findings: Findings) -> None:
    if connection.request_addresses and not connection.remote_addrs and not findings.was_wrong(*here, "remote_addrs"):
        findings.add((*here, "request_addresses"), 'there is nobody to ask; write remote_addrs = ["192.0.2.7"]')
    if starts(connection) != "initiate":
        return
    if connection.pools:
        message = 'only a peer that calls is lent an address, and this connection calls; write start = "wait"'
        findings.add((*here, "pools"), message)
    if not connection.remote_addrs and not findings.was_wrong(*here, "remote_addrs"):
        findings.add((*here, "start"), 'there is nobody to call; write remote_addrs = ["192.0.2.7"], or start = "wait"')
    callable_ = [one for one in connection.remote_addrs if isinstance(one, str) or one.num_addresses == 1]
    if connection.remote_addrs and not callable_:
        findings.add((*here, "remote_addrs"), 'a network cannot be called; write one address, or start = "wait"')
    versions = {one.version for one in connection.local_addrs}
    numeric = [one for one in callable_ if not isinstance(one, str)]
    if versions and numeric and not versions & {one.version for one in numeric} and len(numeric) == len(callable_):
        findings.add(
            (*here, "local_addrs"), "IPv4 cannot call IPv6 or the other way round; write both ends of one kind"
        )


def _check_child(here: tuple[str, ...], child: Child, connection: Connection, findings: Findings) -> None:
    _check_warnings(here, "esp_proposals", child.esp_proposals, findings)
    # A side whose address the configuration payload settles needs no selectors of its own.
    settled = {"local_ts": connection.request_addresses, "remote_ts": bool(connection.pools)}
    for key in ("local_ts", "remote_ts"):
        given = getattr(child, key)
        if child.mode == "ethernet" and given:
            findings.add((*here, key), 'an Ethernet child carries every frame; write mode = "tunnel", or leave it out')
        if child.mode == "tunnel" and not given and not settled[key] and not findings.was_wrong(*here, key):
            findings.add((*here, key), 'it is missing, and tunnel mode needs it; write for example ["10.77.0.0/24"]')
    _check_child_lifetimes(here, child, findings)


def _check_child_lifetimes(here: tuple[str, ...], child: Child, findings: Findings) -> None:
    if 0 < child.rekey_time < 60:
        findings.add((*here, "rekey_time"), "this rekeys more than once a minute; write at least 60", warning=True)
    if 0 < child.rekey_bytes < LEAST_BYTES:
        findings.add((*here, "rekey_bytes"), 'a fast path rekeys all the time; write at least "100M"', warning=True)
    if 0 < child.rekey_packets < LEAST_PACKETS:
        detail = f"a fast path rekeys all the time; write at least {LEAST_PACKETS}"
        findings.add((*here, "rekey_packets"), detail, warning=True)


def _check_warnings(here: tuple[str, ...], key: str, proposals: Iterable[object], findings: Findings) -> None:
    for index, proposal in enumerate(proposals):
        for warning in getattr(proposal, "warnings", ()):
            findings.add((*here, key, index), warning, warning=True)


def _check_distinct(configuration: Configuration, findings: Findings) -> None:
    """Two connections that a calling peer cannot be told apart by: the second would never serve."""
    seen: dict[tuple[object, ...], str] = {}
    for name, connection in configuration.connections.items():
        ids = [connection.local.id, connection.remote.id and connection.remote.id.text.lower()]
        for side, method in enumerate(auth_methods(connection)):
            ids[side] = "%null" if method == "null" else ids[side]
        if None in ids:
            continue
        sides = (frozenset(map(str, connection.local_addrs)), frozenset(map(str, connection.remote_addrs)))
        key = (*ids, *sides)
        if other := seen.get(key):
            findings.add(
                ("connections", name),
                f"it has the same ids and addresses as {other} and would never serve; "
                "write other ids or addresses, or join the two",
            )
        seen.setdefault(key, name)


def _check_static(configuration: Configuration, findings: Findings) -> None:
    seen: dict[bytes, int] = {}
    for index, entry in enumerate(configuration.hub.static):
        place = ("hub", "static", index)
        if entry.connection not in configuration.connections and not findings.was_wrong(
            "connections", entry.connection
        ):
            hint = nearest(entry.connection, configuration.connections) or one_of(configuration.connections)
            hint = f"write {hint}" if hint else "write it first"
            findings.add((*place, "connection"), f'there is no connection "{entry.connection}"; {hint}')
        if entry.mac in seen:
            findings.add(
                (*place, "mac"), f"hub.static[{seen[entry.mac]}] has this address already; leave one of them out"
            )
        seen.setdefault(entry.mac, index)


def _check_extensions(configuration: Configuration, findings: Findings) -> None:
    known = extensions.installed()
    for index, name in enumerate(configuration.node.extensions):
        try:
            extensions.check(name)
        except LocalError as error:
            near = nearest(name, known) or one_of(known)
            hint = f"write {near}" if near else "install its package where rhp is, or leave it out"
            findings.add(("node", "extensions", index), f"{error.detail}; {hint}")


def _check_cpus(configuration: Configuration, findings: Findings) -> None:
    """Each lane has a processor of its own, and one that this process may use."""
    lanes, cpus = configuration.node.lanes, configuration.node.cpus
    place = ("node", "cpus")
    if cpus and lanes != "auto" and lanes != len(cpus):
        findings.add(place, f"{lanes} lanes have {len(cpus)} processors; write one for each, or leave out lanes")
    allowed = os.sched_getaffinity(0)
    for index, cpu in enumerate(cpus):
        if cpu not in allowed:
            there = ", ".join(map(str, sorted(allowed)[:8]))
            findings.add((*place, index), f"processor {cpu} is none that the node may use; write one of {there}")
        elif cpu in cpus[:index]:
            findings.add((*place, index), f"processor {cpu} has a lane already; write another one")


def _check_mtu(configuration: Configuration, findings: Findings) -> None:
    interface = configuration.interface
    if interface.mtu != "auto" and interface.mtu < 1280 and any(one.version == 6 for one in interface.addresses):
        findings.add(("interface", "mtu"), 'IPv6 needs at least 1280; write 1280 or more, or "auto"')
    if interface.bridge is not None and interface.addresses:
        findings.add(
            ("interface", "addresses"),
            f"a bridged interface holds no address itself; give the address to {interface.bridge}",
        )
