"""The MAC table: learning, ageing, moves, static entries and its bounds."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast.hub import MacTable

A, B = 0x020000000001, 0x020000000002
GROUP = 0x010000000001


@pytest.fixture
def table():
    return MacTable(ageing=60_000)


def test_a_station_is_learned_and_found(table):
    assert table.lookup(A, 0) is None
    assert table.learn(A, 3, 0) == "new"
    assert table.learn(A, 3, 10) == "kept"
    assert table.lookup(A, 10) == 3
    assert table.lookup(B, 10) is None


def test_it_is_forgotten_when_it_has_been_silent(table):
    table.learn(A, 3, 1000)
    assert table.lookup(A, 61_000) == 3
    assert table.lookup(A, 61_001) is None
    assert table.entries(61_001) == []
    assert table.learn(A, 4, 61_001) in ("new", "moved")
    assert table.lookup(A, 61_001) == 4


def test_traffic_keeps_it(table):
    table.learn(A, 3, 1000)
    table.learn(A, 3, 50_000)
    assert table.lookup(A, 100_000) == 3
    assert table.entries(60_000) == [(A.to_bytes(6, "big"), 3, 10.0)]


def test_it_moves(table):
    table.learn(A, 3, 0)
    assert table.learn(A, 4, 10) == "moved"
    assert table.lookup(A, 10) == 4
    assert len(table.entries(10)) == 1


@pytest.mark.parametrize("mac", [GROUP, 0xFFFFFFFFFFFF, 0])
def test_groups_and_nobody_are_not_learned(table, mac):
    assert table.learn(mac, 3, 0) == "kept"
    assert table.lookup(mac, 0) is None
    assert table.entries(0) == []


def test_a_static_entry_is_never_overwritten(table):
    table.learn(A, 3, 0)
    assert table.set_static(A, 5)
    assert table.learn(A, 3, 0) == "spoofed"
    assert table.learn(A, 5, 0) == "kept"
    assert table.lookup(A, 10**9) == 5
    assert table.entries(10**9) == [(A.to_bytes(6, "big"), 5, 0.0)]


def test_a_static_entry_can_be_taken_away(table):
    table.set_static(A, 5)
    table.remove_static(A)
    assert table.lookup(A, 0) is None
    assert table.learn(A, 3, 0) == "new"
    table.remove_static(A)
    assert table.lookup(A, 0) == 3


def test_a_port_is_forgotten_with_all_its_stations(table):
    for number in range(100):
        table.learn(A + number, 3 + number % 2, 0)
    table.set_static(B + 1000, 3)
    table.forget_port(3)
    assert {port for _, port, _ in table.entries(0)} == {4}
    assert len(table.entries(0)) == 50


def test_it_holds_sixteen_thousand_stations_and_then_says_no():
    table = MacTable()
    learned = sum(table.learn(0x020000000000 + number, 1, 0) == "new" for number in range(16384))
    assert learned > 16384 * 0.999
    answers = {table.learn(0x060000000000 + number, 1, 0) for number in range(40000)}
    assert answers == {"new", "full"}
    # A static entry takes the place of a learned one even then.
    assert table.set_static(0x0A0000000000, 2)
    assert table.lookup(0x0A0000000000, 0) == 2


def test_expired_stations_make_room():
    table = MacTable(ageing=1000)
    for number in range(60000):
        table.learn(0x020000000000 + number, 1, 0)
    assert all(table.learn(0x060000000000 + number, 2, 2000) == "new" for number in range(5000))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["learn", "static", "unstatic", "forget", "wait"]), st.integers(1, 8), st.integers(1, 4)
        ),
        max_size=60,
    )
)
def test_it_behaves_like_a_dictionary(steps):
    table, model, now = MacTable(ageing=5000), {}, 10_000
    for step, number, port in steps:
        mac = A + number
        if step == "learn" and not model.get(mac, (0, 0, False))[2]:
            fresh = mac in model and model[mac][0] == port and now <= model[mac][1] + 1000
            model[mac] = (port, model[mac][1] if fresh else now, False)
            table.learn(mac, port, now)
        elif step == "static":
            model[mac] = (port, 0, True)
            assert table.set_static(mac, port)
        elif step == "unstatic" and model.get(mac, (0, 0, False))[2]:
            del model[mac]
            table.remove_static(mac)
        elif step == "forget":
            model = {key: entry for key, entry in model.items() if entry[0] != port}
            table.forget_port(port)
        elif step == "wait":
            now += number * 700
        for key in range(A + 1, A + 9):
            entry = model.get(key)
            alive = entry is not None and (entry[2] or now - entry[1] <= 5000)
            assert table.lookup(key, now) == (entry[0] if alive else None)


def test_threads_may_learn_at_once():
    table = MacTable()

    def learn(port):
        for turn in range(20):
            for number in range(500):
                table.learn(A + number, port, turn)

    threads = [threading.Thread(target=learn, args=(port,)) for port in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    macs = [entry[0] for entry in table.entries(20)]
    assert len(macs) == len(set(macs)) == 500


@pytest.mark.parametrize("since_the_start", [0, 100, 7 * 24 * 3_600_000])
def test_a_peer_has_its_whole_share_at_once_also_when_the_machine_has_just_started(since_the_start):
    table = MacTable()
    share = 32768 // 8
    assert sum(table.may_learn(since_the_start) for _ in range(share + 10)) == share
    # One more of it in a hundred milliseconds.
    assert not table.may_learn(since_the_start + 99)
    assert table.may_learn(since_the_start + 100)
    assert not table.may_learn(since_the_start + 100)
    assert sum(table.may_learn(since_the_start + 10**9) for _ in range(share + 10)) == share
