"""Peers without a name (RFC 7619): each is a peer of its own on the hub, and the keeper closes none for another."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.ike.config import ChildConfig, LocalAuth, RemoteAuth
from rhp.pki.identity import ANONYMOUS
from rhp.realm.pattern import IdentityPattern
from rhp.wire.ts import TrafficSelector

EVERYTHING = (TrafficSelector(7, 0, 0, 65535, ip_address("10.0.0.0"), ip_address("10.255.255.255")),)


def child(mode):
    selectors = EVERYTHING if mode == "tunnel" else ()
    return ChildConfig("lan", mode, selectors, selectors, default_esp_proposals())


@pytest.mark.parametrize("mode", ["tunnel", "ethernet"])
def test_two_strangers_have_two_ports(make_connection, make_rig, make_wire, run, mode):
    def nameless(name, remote=None):
        made = make_connection(name, "x", "y", remote, (child(mode),))
        pattern = IdentityPattern.parse("%null")
        return replace(made, local=LocalAuth("null", ANONYMOUS), remote=RemoteAuth("null", pattern))

    async def meet():
        gate = make_rig((nameless("guests"),), (), address="192.0.2.2")
        rigs = [make_rig((nameless("gate", "192.0.2.2"),), (), address=f"192.0.2.{host}") for host in (1, 3)]
        wire = make_wire(gate, *rigs)
        for rig in rigs:
            rig.keeper.start()
        await wire.settle(until=lambda: len(gate.named("ChildEstablished")) == 2)
        await wire.settle()
        ports = list(gate.plane.ports.values())
        assert len(ports) == 2
        # Each hears the other's broadcasts, and a frame for one does not go to both.
        assert len({port["isolate_group"] for port in ports}) == 2
        if mode == "tunnel":
            assert len({port["pseudo_mac"] for port in ports}) == 2
        assert gate.named("IkeClosed") == []
        assert [one["peer"] for one in gate.published if one["event"] == "ike established"] == ["%null", "%null"]

        # Rekeys keep the port of each.
        before = set(gate.plane.ports)
        for sa in gate.engine.status():
            gate.adapter.command(lambda now, sa=sa: gate.engine.rekey_ike(sa.ike_id, now))
        await wire.settle(until=lambda: len(gate.named("IkeRekeyed")) == 2)
        assert set(gate.plane.ports) == before
        for rig in (gate, *rigs):
            await rig.close()

    run(meet())
