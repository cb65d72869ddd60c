"""Several hubs on the node's side: who is where, and what holds there."""

import resource
from dataclasses import replace

import pytest

from rhp.guard.policy import PskSecret
from rhp.guard.protocol import ConfigureLink
from rhp.ike.config import EngineConfig, Station
from rhp.node.errors import StartError
from rhp.node.hubs import _allow_descriptors
from rhp.node.settings import HubSettings, StaticMac
from rhp.realm.policy import PortPolicy

GATE = "gate.example.org"
KEY = b"0123456789abcdef"
STATION = bytes.fromhex("020000000009")


@pytest.fixture
def meet(make_connection, make_rig, make_wire):
    """A gateway with the hub blue, and the peers red and blue, who are in these hubs."""

    async def up(places, hubs, hub=None):
        made = [make_connection(name, GATE, f"{name}.org") for name in places]
        both = tuple(replace(one, policy=PortPolicy(hub=places[one.name])) for one in made)
        secrets = tuple(PskSecret(one.name, key=KEY) for one in both)
        gate = make_rig(both, secrets, address="192.0.2.254", hub=hub, hubs=hubs)
        rigs = [
            make_rig(
                (make_connection("gate", f"{name}.org", GATE, "192.0.2.254"),), (PskSecret("gate", key=KEY),),
                address=f"192.0.2.{number}",
            )
            for number, name in enumerate(places, 1)
        ]  # fmt: skip
        wire = make_wire(gate, *rigs)
        for rig in rigs:
            rig.keeper.start()
        await wire.settle(until=lambda: len(gate.named("IkeEstablished")) == len(places))
        await wire.settle()
        return gate, wire, rigs

    return up


async def close(gate, rigs):
    for rig in (gate, *rigs):
        await rig.close()


def ports(gate):
    return {lineage.connection: gate.plane.ports[lineage.port] for lineage in gate.children}


BOTH = {"red": "", "blue": "blue"}


def test_a_peer_is_in_the_hub_of_its_connection(meet, run):
    async def go():
        gate, _, rigs = await meet(BOTH, {"blue": HubSettings()})
        assert {name: port["hub"] for name, port in ports(gate).items()} == {"red": 0, "blue": 1}
        assert gate.children.ports() == {"": 1, "blue": 1}
        await close(gate, rigs)

    run(go())


def test_a_peer_of_a_hub_that_is_not_there_gets_no_port(meet, run):
    async def go():
        gate, _, rigs = await meet(BOTH, {"green": HubSettings()})
        assert set(ports(gate)) == {"red"}
        assert gate.adapter.counters["install-failed"] > 0
        await close(gate, rigs)

    run(go())


def test_settings_and_static_stations_are_a_hubs_own(meet, run):
    async def go():
        static = (StaticMac(STATION, "blue"),)
        blue = HubSettings(isolate=True, ordering="hold", static=static)
        gate, _, rigs = await meet(BOTH, {"blue": blue}, HubSettings(oversize="answer"))
        gate.children.set_hubs()
        own, other = gate.plane.hubs[0], gate.plane.hubs[1]
        assert (own["isolate"], own["ordering"], own["answer_oversized"], own["static"]) == (False, "off", True, [])
        assert (other["isolate"], other["ordering"], other["answer_oversized"]) == (True, "hold", False)
        (lineage,) = [one for one in gate.children if one.connection == "blue"]
        assert other["static"] == [(STATION, lineage.port)]
        await close(gate, rigs)

    run(go())


def test_the_mss_follows_the_hub(meet, run):
    async def go():
        gate, _, rigs = await meet(BOTH, {"blue": HubSettings(mss_clamp=1000)}, HubSettings(mss_clamp=False))
        assert {name: port["mss"] for name, port in ports(gate).items()} == {"red": 0, "blue": 1000}
        await close(gate, rigs)

    run(go())


def test_a_narrow_path_of_one_hub_leaves_the_other_interface_as_it_is(meet, run):
    async def go():
        gate, _, rigs = await meet(BOTH, {"blue": HubSettings()})
        blue = next(one for one in gate.children if one.connection == "blue")
        blue.policy = replace(blue.policy, path_mtu=1400)
        gate.children.fit(blue)
        gate.tunnels.follow_mtu()
        await gate.queue.drained()
        assert not any(isinstance(one, ConfigureLink) for one in gate.guard.asked)
        assert gate.children.smallest_mtu("blue") < gate.children.smallest_mtu()
        await close(gate, rigs)

    run(go())


def test_who_we_are_on_an_ethernet_is_told_to_those_on_it():
    own, blue = Station(STATION), Station(bytes.fromhex("020000000010"))
    config = EngineConfig(station=own, stations={"blue": blue})
    assert [config.station_on(hub) for hub in ("", "blue", "green")] == [own, blue, None]


def test_more_hubs_than_the_process_may_open_files_for():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        _allow_descriptors(1000)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, hard)
        with pytest.raises(StartError, match=f"need {hard + 1} open files.*LimitNOFILE={hard + 1}"):
            _allow_descriptors(hard + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
