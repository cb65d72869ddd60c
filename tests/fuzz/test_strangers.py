"""The source of bad datagrams is itself tried: reproducible, varied, and of every kind."""

from rhp.lab.strangers import datagrams

HONEST = bytes(range(200))


def test_same_seed_same_datagrams():
    assert list(datagrams([HONEST], 300, seed=1)) == list(datagrams([HONEST], 300, seed=1))
    assert list(datagrams([HONEST], 300, seed=1)) != list(datagrams([HONEST], 300, seed=2))


def test_every_kind_is_there():
    made = list(datagrams([HONEST], 900, seed=3))
    assert len(made) == 900
    assert {0, 1, 27, 28} <= {len(data) for data in made}
    versions = [data[17] for data in made[1::3]]
    assert versions.count(0x20) > 200
    assert any(version != 0x20 for version in versions)
    assert all(data != HONEST for data in made[2::3])


def test_without_seeds_headers_stand_in():
    assert all(len(data) >= 28 for data in list(datagrams([], 300, seed=4))[2::3])
