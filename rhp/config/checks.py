"""What must hold between keys, after each was read by itself: the node, the connections, and all that refers to others.

Each function notes its mistakes and returns nothing, so that all of them run. A key that was wrong in itself is not
complained about a second time for being absent.
"""

from __future__ import annotations

import os
from os.path import normpath
from pathlib import Path

from rhp.config.hook_checks import check_hooks
from rhp.config.hub_checks import check_hubs
from rhp.config.model import Configuration, Connection
from rhp.config.peering_checks import auth_methods, check_names, check_peering, starts
from rhp.config.pool_checks import check_pools
from rhp.config.providers import check_providers
from rhp.config.reading import Findings
from rhp.config.realm_checks import check_realms
from rhp.config.suggest import nearest, one_of
from rhp.ike import extensions
from rhp.ike.errors import LocalError
from rhp.node.metrics.address import TcpAddress

SHORTEST = "[connections.office] with psk_file, local.id and remote.id"


def check(configuration: Configuration, folder: Path, findings: Findings) -> None:
    """Run every check over the whole configuration, whose file lies in `folder`."""
    if configuration.node.port == configuration.node.natt_port:
        findings.add(("node", "natt_port"), "this is node.port as well; write another port, such as 4500")
    _check_cpus(configuration, findings)
    _check_extensions(configuration, findings)
    _check_metrics(configuration, findings)
    _check_audit_file(configuration, folder, findings)
    check_providers(configuration, findings)
    wrong = findings.was_wrong("connections") or findings.was_wrong("realms")
    if not configuration.connections and not configuration.realms and not wrong:
        findings.add((), f"there is no connection; write a table such as {SHORTEST}")
    check_names("connections", (), configuration.connections, findings)
    for name, connection in configuration.connections.items():
        _check_connection(name, connection, findings)
    _check_distinct(configuration, findings)
    check_realms(configuration, findings)
    check_hubs(configuration, findings)
    check_hooks(configuration, findings)
    check_names("pools", (), configuration.pools, findings)
    check_pools(configuration, findings)


def _check_audit_file(configuration: Configuration, folder: Path, findings: Findings) -> None:
    node = configuration.node
    if node.audit_file is None:
        return
    audit, *own = (Path(normpath(folder / one)) for one in (node.audit_file, node.state_dir, node.run_dir))
    if not any(audit.is_relative_to(one) for one in own):
        findings.add(
            ("node", "audit_file"),
            f'the node may write in its own folders alone; write "{node.state_dir / node.audit_file.name}"',
        )


def _check_metrics(configuration: Configuration, findings: Findings) -> None:
    address = configuration.node.metrics
    if isinstance(address, TcpAddress) and not address.ip.is_loopback:
        message = (
            "whoever reaches this address can read the metrics; write 127.0.0.1, or let a firewall stand before it"
        )
        findings.add(("node", "metrics"), message, warning=True)


def _check_connection(name: str, connection: Connection, findings: Findings) -> None:
    here = ("connections", name)
    theirs = auth_methods(connection)[1]
    if connection.remote.id is None and theirs != "null" and not findings.was_wrong(*here, "remote", "id"):
        findings.add(
            (*here, "remote", "id"), 'it is missing; write who the peer is, such as "b.example.org", or "%any"'
        )
    check_peering(here, connection, findings)
    _check_addresses(here, connection, findings)


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
