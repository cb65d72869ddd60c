"""Another configuration of a gateway with realms: whoever a peer is, its IKE SA goes on as long as that leads there."""

from dataclasses import replace

import pytest
from ladder_realms import bearer, gate, keys, own_keys, peers, realm
from ladder_reload import of, own, reload
from ladder_world import connection

from rhp.ike.events import IkeClosed
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern

CARL, DAN, DORA = "carl@sales.example.org", "dan@sales.example.org", "dora@works.example.org"
OTHER = "aes256gcm16-prfsha384-ecp384"
KEY = b"the key of the sales people"
OURS = "gate.example.org"


def by_key(ladder):
    b = gate(realm("sales", "*@sales.example.org"), pools=())
    return ladder(peers(CARL), b, own_keys(**{CARL: KEY}), keys(sales=KEY)).establish(connection=CARL)


def by_certificate(ladder):
    a, policy = bearer("laptop7.example.org", "O=example, OU=sales, CN=laptop7")
    b = gate(realm("sales", "O=example, OU=sales", auth="pubkey"), pools=())
    return ladder(a, b, policy, keys(sales=None)).establish()


@pytest.mark.parametrize("established", [by_key, by_certificate])
def test_other_proposals_cut_nothing_when_something_else_comes_later(ladder, established):
    link = established(ladder)
    before = of(link.b, "sales")
    (sales,) = own(link.b)
    other = connection(OURS, DORA, name="dora", ike=(OTHER,))
    sales = replace(sales, proposals=other.proposals)
    assert reload(link, link.b, sales)["sales"].keys == ("proposals",)
    reload(link, link.b, sales, other)
    link.settle()
    assert of(link.b, "sales") == before
    assert link.b.happened(IkeClosed) == link.a.happened(IkeClosed) == []


def test_who_gets_a_connection_of_its_own_leaves_the_realm_whatever_its_proposals_are(ladder):
    link = by_key(ladder)
    (sales,) = own(link.b)
    mine = connection(OURS, CARL, name="carl")
    reload(link, link.b, replace(sales, proposals=connection(OURS, DORA, ike=(OTHER,)).proposals), mine)
    link.settle()
    assert of(link.b, "sales") == ([], [])
    (closed,) = link.b.happened(IkeClosed)
    assert closed.reason == "connection-changed"


def test_an_id_that_a_connection_has_from_now_on_takes_its_peer_out_of_the_realm_and_nobody_else(ladder):
    b = gate(realm("sales", "*@sales.example.org"), connection(OURS, DORA, name="own"), pools=())
    link = ladder(peers(CARL, DAN), b, own_keys(**{CARL: KEY, DAN: KEY}), keys(sales=KEY, own=KEY))
    for who in (CARL, DAN):
        link.establish(connection=who)
    sales, mine = own(link.b)
    theirs = replace(mine, remote=replace(mine.remote, pattern=IdentityPattern.parse(CARL)))
    assert reload(link, link.b, sales, theirs)["own"].keys == ("remote.id",)
    link.settle()
    assert [(closed.peer, closed.reason) for closed in link.b.happened(IkeClosed)] == [
        (parse_identity(CARL), "connection-changed")
    ]
    assert [sa.peer for sa in link.b.engine.status()] == [parse_identity(DAN)]
    # And it comes back as what it is now.
    link.establish(connection=CARL)
    assert {(sa.connection, sa.realm) for sa in link.b.engine.status()} == {("sales", "sales"), ("own", "")}
