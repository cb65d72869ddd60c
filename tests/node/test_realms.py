"""Realms on the hub and in the status: a port for each peer, apart where the realm says so."""

from dataclasses import replace

import pytest

from rhp.guard.policy import PskSecret
from rhp.node import realms
from rhp.node.settings import HubSettings
from rhp.realm.pattern import IdentityPattern
from rhp.realm.policy import PortPolicy

GATE = "gate.example.org"
KEY = b"0123456789abcdef"


def realm(made, policy, *match):
    return replace(made, match=tuple(map(IdentityPattern.rule, match)), policy=policy)


@pytest.fixture
def meet(make_connection, make_rig, make_wire):
    """A gateway with the realms sales and works, and peers with these identities, all of them up."""

    async def up(*peers, sales, hub=None):
        both = (
            realm(make_connection("sales", GATE, "%any"), sales, "*@sales.org"),
            realm(make_connection("works", GATE, "%any"), PortPolicy(), "*@works.org"),
        )
        gate = make_rig(both, tuple(PskSecret(one.name, key=KEY) for one in both), address="192.0.2.254", hub=hub)
        rigs = [
            make_rig(
                (make_connection("gate", who, GATE, "192.0.2.254"),), (PskSecret("gate", key=KEY),),
                address=f"192.0.2.{number}",
            )
            for number, who in enumerate(peers, 1)
        ]  # fmt: skip
        wire = make_wire(gate, *rigs)
        for rig in rigs:
            rig.keeper.start()
        await wire.settle(until=lambda: len(gate.named("ChildEstablished")) == len(peers))
        await wire.settle()
        return gate, wire, rigs

    return up


def groups(gate):
    """The isolate groups of the ports, by realm."""
    found = {}
    for lineage in gate.children:
        found.setdefault(lineage.connection, []).append(gate.plane.ports[lineage.port]["isolate_group"])
    return found


async def close(gate, rigs):
    for rig in (gate, *rigs):
        await rig.close()


EVERYBODY = ("a@sales.org", "b@sales.org", "c@works.org", "d@works.org")


def test_the_peers_of_an_isolated_realm_do_not_hear_each_other(meet, run):
    async def go():
        gate, wire, rigs = await meet(*EVERYBODY, sales=PortPolicy(isolate=True))
        sales, works = groups(gate)["sales"], groups(gate)["works"]
        assert len(sales) == len(works) == 2
        # One group for the isolated realm; in the other one each peer hears all the rest.
        assert len(set(sales)) == 1
        assert len({*sales, *works}) == 3

        # The group is there for who comes later, after everybody of it has gone.
        for sa in gate.engine.status("sales"):
            gate.adapter.command(lambda now, sa=sa: gate.engine.close(sa.ike_id, now))
        await wire.settle(until=lambda: "sales" not in groups(gate))
        await close(gate, rigs)

    run(go())


def test_sizes_are_the_realms_before_they_are_the_hubs(meet, run):
    async def go():
        policy = PortPolicy(mss_clamp=900, path_mtu=1200)
        gate, _, rigs = await meet("a@sales.org", "c@works.org", sales=policy, hub=HubSettings(mss_clamp=1100))
        port = {one.connection: gate.plane.ports[one.port] for one in gate.children}
        mtu = {one.connection: one.mtu for one in gate.children}
        assert (port["sales"]["mss"], port["works"]["mss"]) == (900, 1100)
        assert mtu["works"] - mtu["sales"] in range(290, 310)
        assert port["sales"]["limit"] == mtu["sales"] + 14
        await close(gate, rigs)

    run(go())


def test_no_clamp_in_a_realm_is_no_clamp(meet, run):
    async def go():
        gate, _, rigs = await meet("a@sales.org", sales=PortPolicy(mss_clamp=False))
        assert [port["mss"] for port in gate.plane.ports.values()] == [0]
        await close(gate, rigs)

    run(go())


def test_the_status_counts_the_peers_of_each_realm(meet, run):
    async def go():
        gate, _, rigs = await meet(*EVERYBODY[:3], sales=PortPolicy(isolate=True))
        shown = realms.picture(gate.engine._ctx.config.connections, gate.engine.status)
        assert [(one["name"], one["peers"], one["isolate"]) for one in shown] == [
            ("sales", 2, True),
            ("works", 1, False),
        ]
        assert shown[0]["match"] == ["*@sales.org"]
        assert shown[0]["auth"] == {"local": "psk", "remote": "psk"}
        assert realms.picture((), gate.engine.status) == []
        await close(gate, rigs)

    run(go())


def test_a_peer_of_a_hub_that_is_not_there_gets_no_port(meet, run):
    async def go():
        gate, wire, rigs = await meet("a@sales.org", "c@works.org", sales=PortPolicy("elsewhere"))
        await wire.settle(until=lambda: list(groups(gate)) == ["works"])
        assert gate.adapter.counters["install-failed"] == 1
        assert [one["detail"] for one in gate.published if one["event"] == "install failed"] == [
            "there is no hub elsewhere on the data plane"
        ]
        await close(gate, rigs)

    run(go())
