"""What the node asks for when something happens to a tunnel: nothing that nobody wants, and each thing once."""

import asyncio
from ipaddress import ip_address
from types import SimpleNamespace

from rhp.guard.protocol import Done, RunHook
from rhp.ike import events
from rhp.ike.errors import Fault
from rhp.ike.path import Endpoint, Path
from rhp.node.hook_events import EVENTS
from rhp.node.hooks import HookAsker
from rhp.node.settings import NodeSettings
from rhp.pki.identity import parse_identity
from rhp.realm.policy import PortPolicy

PEER = parse_identity("b.example.org")
OUTER = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500), True)
MOVED = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.9"), 4500), True)


class Guard:
    def __init__(self):
        self.asked = []

    async def ask(self, question):
        self.asked.append(question)
        return Done()


def asked(wanted, *happened):
    """What is asked of the guard when these happen."""
    return told(wanted, *happened)[0].asked


def told(wanted, *happened):
    """The guard and who asked it, when these have happened."""

    async def story():
        guard = Guard()
        places = {}
        asker = HookAsker(
            guard,
            NodeSettings(hooked=tuple(wanted)),
            lambda name: SimpleNamespace(policy=PortPolicy(name)) if name in places else None,
            lambda hub: places[hub],
        )
        for event in happened:
            match event:
                case str():
                    asker.node(event)
                case dict():
                    # Where connections are from now on; others there are none.
                    places.clear()
                    places.update(event)
                case _:
                    asker.heard(event)
        await asyncio.sleep(0)
        return guard, asker

    return asyncio.run(story())


def established(ike_id=7):
    return events.IkeEstablished(ike_id, "office", "initiator", PEER, OUTER, "a suite")


def child(child_id, ike_id=7):
    return events.ChildEstablished(child_id, ike_id, "office", "net", PEER, "ethernet", 1, 2, "a suite", (), ())


def closed(ike_id=7):
    return events.IkeClosed(ike_id, "office", PEER, "deleted", Fault.NONE)


def test_a_tunnel_is_up_with_its_first_child_and_down_with_its_ike_sa():
    told = asked(EVENTS, established(), child(1), child(2), closed())
    common = ("office", "b.example.org", "192.0.2.1", "192.0.2.2")
    assert told == [RunHook("tunnel-up", *common), RunHook("tunnel-down", *common, reason="deleted")]


def test_without_a_child_there_was_no_tunnel():
    assert asked(EVENTS, established(), closed()) == []


def test_a_reauthentication_is_no_new_tunnel():
    anew = events.IkeReauthenticated(7, "office", "initiator", PEER, MOVED, "a suite", 8)
    told = asked(EVENTS, established(), child(1), anew, child(2), closed())
    assert [(one.event, one.remote) for one in told] == [("tunnel-up", "192.0.2.2"), ("tunnel-down", "192.0.2.9")]


def test_a_path_that_changes_and_addresses_that_are_lent():
    addresses = (ip_address("10.88.0.2"), ip_address("fd88::2"))
    told = asked(
        EVENTS,
        established(),
        events.AddressLeased(7, "office", PEER, addresses),
        child(1),
        events.PathChanged(7, "office", OUTER, MOVED, "nat-moved"),
        closed(),
        events.LeaseEnded(7, "office", PEER, addresses),
    )
    assert [(one.event, one.remote, one.addresses, one.reason) for one in told] == [
        ("address-leased", "192.0.2.2", "10.88.0.2 fd88::2", ""),
        ("tunnel-up", "192.0.2.2", "", ""),
        ("path-changed", "192.0.2.9", "", "nat-moved"),
        ("tunnel-down", "192.0.2.9", "", "deleted"),
        ("lease-ended", "", "10.88.0.2 fd88::2", ""),
    ]
    assert {one.peer for one in told} == {"b.example.org"}


def test_what_nobody_wants_is_not_asked_for():
    assert asked((), "node-up", established(), child(1), closed()) == []
    assert [one.event for one in asked(("node-up", "tunnel-down"), "node-up", established(), child(1), closed())] == [
        "node-up",
        "tunnel-down",
    ]


def test_a_storm_is_bounded_and_what_is_left_out_is_counted():
    storm = [one for number in range(500) for one in (established(number), child(1, number))]
    guard, asker = told(EVENTS, *storm)
    assert len(guard.asked) == 256
    assert asker.counters == {"hooks-skipped": 500 - 256}
    assert told(EVENTS, *storm[:20])[1].counters == {"hooks-skipped": 0}


def test_a_tunnel_has_the_interface_that_it_came_up_on_until_it_ends():
    gave = events.AddressLeased(7, "office", PEER, (ip_address("10.88.0.2"),))
    moved = events.PathChanged(7, "office", OUTER, MOVED, "nat-moved")
    questions = asked(
        EVENTS,
        {"office": "rhp0"},
        established(),
        gave,
        child(1),
        # A reload puts the connection elsewhere, and another one takes it out of the file.
        {"office": "rhp-blue"},
        moved,
        {},
        closed(),
        {"office": "rhp-blue"},
        established(),
        child(2),
        closed(),
        {},
        gave,
    )
    assert [(one.event, one.interface) for one in questions] == [
        ("address-leased", "rhp0"),
        ("tunnel-up", "rhp0"),
        ("path-changed", "rhp0"),
        ("tunnel-down", "rhp0"),
        ("tunnel-up", "rhp-blue"),
        ("tunnel-down", "rhp-blue"),
        ("address-leased", ""),
    ]
