"""A node that was killed and starts again with what it had remembered: addresses and spent tickets."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from ladder_addresses import FULL, FULL6, asking, giving, leased, pool, three
from ladder_tickets import crash, refused, settles_in_full

from rhp.crypto.secret import Secret
from rhp.ike.errors import LocalError
from rhp.pki.identity import parse_identity


class Disk:
    """What an engine told, as a disk would have it."""

    def __init__(self, side):
        self.leases, self.spent = {}, {}
        side.engine.tell(self)

    def lease_changed(self, pool, address, identity, *, in_use):
        if identity is None:
            del self.leases[pool, str(address)]
        else:
            self.leases[pool, str(address)] = identity, in_use

    def ticket_spent(self, ticket_id, expires):
        self.spent[ticket_id] = expires

    def kept(self):
        return {address: in_use for (_, address), (_, in_use) in self.leases.items()}


def restart_with_memory(link, side):
    """The program dies, starts again, and takes up what it had told."""
    leases, spent = side.engine.remembered()
    side.restart()
    side.engine.recall(leases, spent)
    return Disk(side)


def test_each_client_gets_the_address_that_it_had_in_another_order(ladder):
    link = three(ladder, pool())
    disk = Disk(link.b)
    for client, address in ((link.a, "10.88.0.2"), (link.c, "10.88.0.3")):
        link.initiate(client, to=link.b)
        link.settle()
        assert str(client.status().assigned.addresses[0].ip) == address
    assert disk.kept() == {"10.88.0.2": True, "10.88.0.3": True}
    disk = restart_with_memory(link, link.b)
    for side in (link.a, link.c):
        side.restart()
    # c comes first now, and would have the first address of an empty pool.
    for client, address in ((link.c, "10.88.0.3"), (link.a, "10.88.0.2")):
        link.initiate(client, to=link.b)
        link.settle()
        assert str(client.status().assigned.addresses[0].ip) == address
    assert disk.kept() == {"10.88.0.2": True, "10.88.0.3": True}


def test_the_disk_has_every_step(ladder):
    link = ladder(asking(), giving(FULL, FULL6))
    disk = Disk(link.b)
    link.establish()
    assert disk.kept() == {"10.88.0.2": True, "fd88::2": True}
    # A rekey hands the addresses on: nothing to write.
    link.call(link.a, "rekey_ike", link.a.status().ike_id)
    disk.leases.clear()
    link.settle()
    assert disk.leases == {}
    link.call(link.a, "close_all")
    link.settle()
    assert disk.kept() == {"10.88.0.2": False, "fd88::2": False}


def test_an_address_in_use_is_not_released_and_one_that_is_kept_is(ladder):
    link = ladder(asking(), giving(FULL, FULL6))
    disk = Disk(link.b)
    link.establish()
    address, engine = ip_address("10.88.0.2"), link.b.engine
    with pytest.raises(LocalError, match="address-in-use"):
        engine.release_lease(address)
    with pytest.raises(LocalError, match="address-not-lent"):
        engine.release_lease(ip_address("10.88.0.3"))
    link.call(link.a, "close_all")
    link.settle()
    engine.release_lease(address)
    assert disk.kept() == {"fd88::2": False}
    with pytest.raises(LocalError, match="address-not-lent"):
        engine.release_lease(address)
    assert [(one.online, one.resting) for one in engine.pools()] == [(0, 0), (0, 1)]


def test_other_pools_take_what_still_fits_and_tell_of_the_rest(ladder):
    link = ladder(asking(), giving(FULL, FULL6))
    disk = Disk(link.b)
    link.establish()
    link.call(link.a, "close_all")
    link.settle()
    config = link.b.engine._ctx.config
    link.b.engine.set_config(replace(config, pools=(FULL,)))
    assert disk.kept() == {"10.88.0.2": False}
    moved = pool("10.88.0.5", "10.88.0.9")
    link.b.engine.set_config(replace(config, pools=(moved,)))
    assert disk.kept() == {}


def test_what_no_longer_fits_is_left_out_at_a_start(ladder):
    link = ladder(asking(), giving(FULL, FULL6))
    Disk(link.b)
    link.establish()
    link.b.config = replace(link.b.config, pools=(replace(FULL, reserved=frozenset({ip_address("10.88.0.2")})), FULL6))
    restart_with_memory(link, link.b)
    link.a.restart()
    link.initiate()
    link.settle()
    assert leased(link.b) == ["10.88.0.3", "fd88::2"]


def test_a_ticket_that_was_used_up_stays_so_over_a_restart(resuming):
    link = crash(resuming().establish())
    ((name, held),) = link.a.engine._ctx.held.items()
    kept = replace(held, sk_d=Secret(held.sk_d.expose()))
    disk = Disk(link.b)
    link.establish()
    assert len(disk.spent) == 1
    # Both die; the client, or a thief, has the old ticket still, and the gateway its memory.
    restart_with_memory(link, link.b)
    link.a.restart()
    link.a.engine._ctx.held[name] = kept
    refused(link, "ticket-spent")
    settles_in_full(link)


def test_memory_is_told_nothing_of_what_it_tells(ladder):
    """What is recalled is known already: nothing of it is written again."""
    link = three(ladder, pool())
    Disk(link.b)
    link.initiate(link.a, to=link.b)
    link.settle()
    assert restart_with_memory(link, link.b).leases == {}


def test_a_lease_of_somebody_else_gives_way(ladder):
    """All are lent: the one that has rested longest goes to another peer, and the disk has the new owner only."""
    link = three(ladder, pool("10.88.0.2", "10.88.0.2"))
    disk = Disk(link.b)
    link.initiate(link.a, to=link.b)
    link.settle()
    link.call(link.a, "close_all")
    link.settle()
    link.initiate(link.c, to=link.b)
    link.settle()
    assert disk.leases == {("p", "10.88.0.2"): (parse_identity("c@x"), True)}
