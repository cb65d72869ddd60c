"""What `rhp.spi.esp.DataPlane` promises of hubs, and of copies for a capture; each test runs with either data plane."""

import select
import time

import pytest
from contract_packets import FAR, NEAR, arp, ip4, tunnel
from planes import BROADCAST, SECONDS, TAP_MAC, frame, mac

from rhp.spi.esp import HUB_COUNTERS

# Hubs.


def test_what_is_sent_in_a_hub_stays_there(rig):
    red, blue = rig.hub(stations=256), rig.hub()
    assert rig.plane.hubs() == [0, red.number, blue.number]
    own, inside, other = rig.peer(), red.peer(), blue.peer()
    red.tap.send(frame(BROADCAST, mac(1), b"within red"))
    assert inside.recv_frame().endswith(b"within red")
    inside.send_frame(frame(BROADCAST, mac(2), b"back to red"))
    assert red.tap.recv().endswith(b"back to red")
    rig.settle()
    assert own.pending() == other.pending() == rig.tap.pending() == blue.tap.pending() == []
    known = {entry[0]: entry[1] for entry in rig.plane.macs(red.number)}
    assert known == {TAP_MAC: 0, mac(1): 0, mac(2): inside.port}
    assert {entry[0] for entry in rig.plane.macs()} == {TAP_MAC}
    counted = rig.plane.hub_counters(red.number)
    assert set(HUB_COUNTERS) <= set(counted)
    assert (counted["tap-frames-in"], counted["tap-frames-out"], counted["macs-learned"]) == (1, 1, 2)
    assert rig.plane.hub_counters(red.number, 0) == counted
    assert rig.plane.hub_counters(blue.number)["tap-frames-in"] == 0
    assert rig.count("tap-frames-in") == 2  # The other one is that by which it settled.


def test_each_hub_behaves_in_its_own_way(rig):
    red = rig.hub()
    one, two = red.peer(), red.peer()
    rig.plane.set_hub(isolate=True)
    one.send_frame(frame(BROADCAST, mac(5), b"red is not isolated"))
    assert two.recv_frame().endswith(b"red is not isolated")
    rig.plane.set_hub(isolate=True, static=[(mac(7), one.port)], hub=red.number)
    with pytest.raises((KeyError, ValueError)):
        rig.plane.set_hub(static=[(mac(7), one.port)])
    # The same address may live in two of them, and each is asked for its own.
    rig.plane.add_neighbour("10.9.0.9", mac(9), one.port)
    rig.tap.send(arp(mac(1), NEAR, "10.9.0.9"))
    red.tap.send(arp(mac(1), NEAR, "10.9.0.9"))
    while (answer := red.tap.recv())[:6] != mac(1):
        pass
    assert answer[6:12] == mac(9)
    rig.settle()
    assert rig.tap.pending() == []
    rig.plane.remove_neighbour("10.9.0.9", red.number)
    with pytest.raises(KeyError):
        rig.plane.remove_neighbour("10.9.0.9")


def test_a_hub_comes_and_goes(rig):
    red = rig.hub()
    peer = red.peer()
    with pytest.raises(ValueError, match="still has ports"):
        rig.plane.remove_hub(red.number)
    red.tap.send(frame(BROADCAST, mac(1)))
    peer.recv_frame()
    red.taps[0].host.close()
    assert rig.wait_event("tap-lost")[3] == red.number
    rig.plane.remove_port(peer.port)
    rig.plane.remove_hub(red.number)
    assert rig.plane.hubs() == [0]
    # What it has counted stays.
    assert rig.count("tap-frames-in") == 1
    with pytest.raises(ValueError, match="hub 0"):
        rig.plane.remove_hub(0)
    with pytest.raises(ValueError, match="stations"):
        rig.plane.add_hub(stations=1)
    for verb in (rig.plane.remove_hub, rig.plane.macs, rig.plane.hub_counters, lambda hub: rig.plane.set_hub(hub=hub)):
        with pytest.raises(KeyError):
            verb(red.number)
    with pytest.raises(KeyError):
        rig.plane.add_port("ethernet", hub=red.number)


# Copies.


def copied(rig, count):
    """So many captured frames; the descriptor tells of them."""
    found = []
    while len(found) < count:
        assert select.select([rig.plane.event_fd], [], [], SECONDS)[0]
        rig.plane.poll_events()
        found += rig.plane.poll_frames()
    return found


def test_copies_of_what_tunnels_carry(rig):
    peer, other, far = rig.peer(), rig.peer(), tunnel(rig)
    rig.plane.capture(20, peer.port)
    out, back = frame(BROADCAST, mac(1), bytes(range(100))), frame(mac(1), mac(2), b"back" * 20)
    rig.tap.send(out)
    peer.recv_frame()
    other.recv_frame()
    peer.send_frame(back)
    rig.tap.recv()
    first, second = copied(rig, 2)
    assert (first[:2], first[3:]) == ((peer.port, True), (len(out), out[:20]))
    assert (second[:2], second[3:]) == ((peer.port, False), (len(back), back[:20]))
    assert 0 < first[2] <= second[2] <= time.monotonic_ns()
    rig.plane.capture(65550)
    packet = ip4(NEAR, FAR)
    rig.tap.send(mac(0x77) + mac(1) + b"\x08\x00" + packet)
    far.recv()
    ((port, outward, _, length, data),) = copied(rig, 1)
    assert (port, outward, length) == (far.port, True, 14 + len(packet))
    assert data[6:] == mac(1) + b"\x08\x00" + packet
    rig.plane.capture(0)
    rig.tap.send(out)
    peer.recv_frame()
    rig.settle()
    assert (list(rig.plane.poll_frames()), rig.plane.frames_lost()) == ([], 0)
    for wrong, error in (((65551,), ValueError), ((100, 4711), KeyError)):
        with pytest.raises(error):
            rig.plane.capture(*wrong)


def test_copies_that_nobody_takes_are_lost_and_no_frame_is(rig):
    peer = rig.peer()
    rig.plane.capture(65550)
    big = frame(BROADCAST, mac(1), bytes(1000))
    while rig.plane.frames_lost() == 0:
        rig.tap.send(big)
        assert peer.recv_frame() == big
    assert rig.plane.poll_frames(1)
