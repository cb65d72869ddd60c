"""From two looks at the peers to rates."""

from rhp.cli.rates import Rates
from rhp.cli.table import rate


def look(clock, *peers):
    """A look at that time; each peer is a name and its tunnels' (port, octets in, octets out)."""
    return {
        "clock_s": clock,
        "peers": [
            {
                "peer": name,
                "tunnels": [
                    {
                        "port": port,
                        "bytes_in": inwards,
                        "bytes_out": out,
                        "packets_in": inwards // 100,
                        "packets_out": 0,
                    }
                    for port, inwards, out in tunnels
                ],
            }
            for name, tunnels in peers
        ],
    }


def rates(shown):
    return {one["peer"]: (one["bits_in_s"], one["bits_out_s"], one["packets_in_s"]) for one in shown["peers"]}


def test_the_first_look_is_only_there_to_count_from():
    shown = Rates().take(look(10.0, ("a", [(1, 5000, 0)])))
    assert rates(shown) == {"a": (0, 0, 0.0)}
    assert shown["interval_s"] == 0.0


def test_tunnels_are_added_up_and_the_busiest_comes_first():
    taken = Rates()
    taken.take(look(10.0, ("a", [(1, 0, 0)]), ("b", [(2, 1000, 0), (3, 0, 0)])))
    shown = taken.take(look(12.0, ("a", [(1, 200, 0)]), ("b", [(2, 3000, 0), (3, 0, 500)])))
    assert list(rates(shown)) == ["b", "a"]
    assert rates(shown) == {"a": (800, 0, 1.0), "b": (8000, 2000, 10.0)}
    assert shown["interval_s"] == 2.0


def test_a_peer_that_came_meanwhile_and_a_port_that_changed_hands_do_not_jump():
    taken = Rates()
    taken.take(look(1.0, ("a", [(1, 9000, 9000)])))
    shown = taken.take(look(2.0, ("b", [(1, 100, 100)]), ("c", [(2, 5000, 0)])))
    assert rates(shown) == {"b": (0, 0, 0.0), "c": (0, 0, 0.0)}


def test_rates_are_written_for_people():
    assert [rate(one) for one in (0.0, 100.0, 1_250.0, 1_560_000.0, 1.25e9)] == [
        "0 bit/s",
        "800 bit/s",
        "10.0 kbit/s",
        "12.5 Mbit/s",
        "10.0 Gbit/s",
    ]
