"""Reauthentication seen from the node: the connection does not flap, and the hub keeps its ports."""

import asyncio

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.ike.config import ChildConfig


def ethernet(name):
    return ChildConfig(name, "ethernet", (), (), default_esp_proposals())


@pytest.mark.parametrize("names", [("one",), ("one", "two", "three")])
def test_a_connection_is_renewed_without_anybody_noticing(pair, run, names):
    async def meet():
        children = tuple(map(ethernet, names))
        a, b, wire = pair(children=children)
        a.keeper.start()
        await wire.settle(until=lambda: all(len(rig.named("ChildEstablished")) == len(names) for rig in (a, b)))
        await wire.settle()
        before = [(dict(rig.plane.ports), set(rig.plane.sas)) for rig in (a, b)]
        told = [len(rig.published) for rig in (a, b)]

        (old,) = a.engine.status()
        a.adapter.command(lambda now: a.engine.reauthenticate(old.ike_id, now))
        await wire.settle(until=lambda: all(rig.named("IkeReauthenticated") for rig in (a, b)))
        await wire.settle()
        # Longer than the keeper waits before it looks for doubles.
        await asyncio.sleep(0.6)
        await wire.settle()
        for rig, (ports, sas), count in zip((a, b), before, told, strict=True):
            assert rig.plane.ports == ports
            # The old pairs only receive what is still on its way.
            sending = set(rig.plane.sas) & set(rig.plane.active)
            assert len(sending) == len(names)
            assert not sending & sas
            assert rig.named("IkeClosed") == rig.named("ChildClosed") == rig.named("ChildFailed") == []
            (status,) = rig.engine.status()
            assert len(status.children) == len(names)
            words = [one["event"] for one in rig.published[count:]]
            assert words.count("ike reauthenticated") == 1
            assert words.count("child rekeyed") == len(names)
            assert set(words) == {"ike state", "ike reauthenticated", "child rekeyed"}
            assert rig.journal.failures() == []
        assert a.engine.status()[0].spi_i != old.spi_i
        assert a.keeper.retry_in("to-b") is None
        await a.close()
        await b.close()

    run(meet())
