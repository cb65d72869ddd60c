"""Trains of datagrams, out and in, and super-frames at the TAP: what leaves in company and what arrives from it.

What waits before the lanes start is one batch, so that it is known what could travel together.
"""

import os
import socket
import struct
import subprocess
import sys
import textwrap

import pytest
from planes import ANY4, ETHERIP, TAP_MAC, Rig, frame, mac, wait_for

from rhp._fast.merge import merged
from rhp._fast.parcel import from_tap, to_tap
from rhp._fast.segment import segments
from rhp.lab.flows import Around, tcp, udp

CHECKSUM, TSO4, TSO6, USO4, USO6 = 1, 2, 4, 0x20, 0x40
TCP_OFFLOADS = CHECKSUM | TSO4 | TSO6
ALL_OFFLOADS = TCP_OFFLOADS | USO4 | USO6
SOL_UDP, UDP_SEGMENT = 17, 103
SUPER_TCP4 = 1


def batch(sizes, peers=1):
    """A rig that has just carried frames of these sizes, sent to the peers in turn; what each peer got."""
    rig = Rig(start=False)
    ends = [rig.peer() for _ in range(peers)]
    rig.plane.set_hub(static=[(mac(number), peer.port) for number, peer in enumerate(ends)])
    sent = [frame(mac(number % peers), TAP_MAC, bytes([number]) * size) for number, size in enumerate(sizes)]
    for one in sent:
        rig.tap.send(one)
    rig.plane.start()
    got = [[peer.recv_frame() for _ in sent[number::peers]] for number, peer in enumerate(ends)]
    assert got == [sent[number::peers] for number in range(peers)]
    return rig


@pytest.mark.parametrize(
    ("sizes", "trains"),
    [
        pytest.param([100] * 10, 1, id="equal ones are one train"),
        pytest.param([100, 100, 60], 1, id="a shorter one may be the last"),
        pytest.param([100, 100, 60, 100, 100], 2, id="and nothing follows it"),
        pytest.param([60, 100, 100], 1, id="a longer one begins another"),
        pytest.param([60, 100, 140], 0, id="each of its own length"),
        pytest.param([1400] * 47, 2, id="no more than fits one datagram"),
        pytest.param([100], 0, id="one alone is no train"),
    ],
)
def test_what_leaves_as_a_train(sizes, trains):
    with batch(sizes) as rig:
        wait_for(lambda: rig.count("esp-packets-out") == len(sizes))
        rig.settle()
        assert rig.count("trains-out") == trains
        assert rig.count("trains-refused") == 0


def test_each_peer_has_its_own_train_though_they_take_turns():
    with batch([100] * 40, peers=4) as rig:
        wait_for(lambda: rig.count("esp-packets-out") == 40)
        rig.settle()
        assert rig.count("trains-out") == 4
        assert rig.count("send-calls") == 1


@pytest.mark.parametrize(
    ("sizes", "tails"),
    [
        pytest.param([100] * 10, 1, id="behind equal ones"),
        pytest.param([100, 100, 60], 0, id="not where a shorter one is the last"),
        pytest.param([100], 0, id="not behind one alone"),
        pytest.param([100] * 64, 1, id="for which there is always room"),
        pytest.param([1400] * 47, 2, id="not even of octets"),
    ],
)
def test_a_keep_alive_ends_what_the_kernel_would_spoil(sizes, tails):
    with Rig(start=False) as rig:
        rig.plane.attach_udp(0, rig.sockets[0].fileno(), rig.family, tail=True)
        peer = rig.peer()
        for number, size in enumerate(sizes):
            rig.tap.send(frame(mac(1), TAP_MAC, bytes([number]) * size))
        rig.plane.start()
        got = [peer.sock.recv(2000) for _ in range(len(sizes) + tails)]
        assert got.count(b"\xff") == tails
        opened = [peer.opener.open(packet)[1] for packet in got if packet != b"\xff"]
        assert [payload[-1] for payload in opened] == list(range(len(sizes)))
        wait_for(lambda: rig.count("esp-packets-out") == len(sizes))


def unfinished(data):
    """A TCP frame as a host leaves it to a device that cuts."""
    value = sum(struct.unpack("!4H", data[26:34])) + 6 + len(data) - 34
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return data[:50] + struct.pack("!H", value) + data[52:]


def test_a_super_frame_leaves_as_one_train_of_what_it_stands_for():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer()
        whole = unfinished(tcp(0, 40_000))
        rig.tap.send(to_tap(whole, SUPER_TCP4, 1000, 34, 16, True))
        expected = segments(whole, SUPER_TCP4, 1000)
        assert [peer.recv_frame() for _ in expected] == expected
        rig.settle_sockets()
        assert (rig.count("tap-super-frames-in"), rig.count("trains-out"), rig.count("send-calls")) == (1, 1, 1)


def test_a_super_frame_that_goes_to_many_arrives_whole_at_each():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peers = [rig.peer() for _ in range(3)]
        whole = unfinished(tcp(0, 5500))
        rig.tap.send(to_tap(whole, SUPER_TCP4, 1000, 34, 16, True))
        for peer in peers:
            assert [peer.recv_frame() for _ in range(6)] == segments(whole, SUPER_TCP4, 1000)


def test_an_unfinished_checksum_is_finished_once_for_all():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peers = [rig.peer() for _ in range(3)]
        right = tcp(0, 500)
        rig.tap.send(to_tap(unfinished(right), 0, 0, 34, 16, True))
        assert [peer.recv_frame() for peer in peers] == [right] * 3


def test_a_header_that_cannot_be_true_is_counted():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer()
        rig.tap.send(struct.pack("=BBHHHH", 1, 0, 0, 0, 60000, 16) + tcp())
        rig.tap.send(struct.pack("=BBHHHH", 1, 3, 0, 1000, 34, 16) + tcp())
        rig.tap.send(to_tap(unfinished(tcp(0, 5000)), 4, 1000, 34, 16, True))
        rig.tap.send(to_tap(frame(mac(77), TAP_MAC), 0, 0, 0, 0, False))
        assert peer.recv_frame() == frame(mac(77), TAP_MAC)
        assert (rig.count("drop-tap-header"), rig.count("drop-super-frame")) == (2, 1)


def send_train(peer, packets):
    """All in one send; the kernel cuts where the first one ends."""
    size = struct.pack("=H", len(packets[0]))
    peer.sock.sendmsg([b"".join(packets)], [(SOL_UDP, UDP_SEGMENT, size)], 0, (peer.rig.ip, peer.rig.port))


def frames_of(rig):
    """What came to the TAP, each with what its header says."""
    return [from_tap(data) for data in rig.tap.pending()]


def arrive(rig, count):
    wait_for(lambda: rig.count("esp-packets-in") == count)
    rig.settle_sockets()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize(("offloads", "make"), [(TCP_OFFLOADS, tcp), (ALL_OFFLOADS, udp)])
def test_a_train_becomes_one_super_frame(family, offloads, make):
    with Rig(family=family, offloads=offloads) as rig:
        peer = rig.peer()
        frames = [make(number) for number in range(20)]
        send_train(peer, [peer.seal(ETHERIP + one) for one in frames])
        arrive(rig, 20)
        assert [one[:6] for one in frames_of(rig)] == merged(frames, True)
        assert (rig.count("trains-in"), rig.count("packets-merged"), rig.count("tap-super-frames-out")) == (1, 19, 1)


def test_datagrams_stay_single_where_the_tap_takes_tcp_only():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer()
        frames = [udp(number) for number in range(5)]
        send_train(peer, [peer.seal(ETHERIP + one) for one in frames])
        arrive(rig, 5)
        assert [one[0] for one in frames_of(rig)] == frames


def test_two_peers_and_two_flows_do_not_mix():
    with Rig(offloads=TCP_OFFLOADS, start=False) as rig:
        one, two = rig.peer(), rig.peer()
        other = Around(source="10.0.0.9")
        for number in range(6):
            one.send_frame(tcp(number))
            two.send_frame(tcp(number, around=other))
        rig.plane.start()
        arrive(rig, 12)
        arrived = [data for whole in frames_of(rig) for data in cut_again(whole)]
        assert [data for data in arrived if data[26:30] == bytes([10, 0, 0, 1])] == [tcp(n) for n in range(6)]
        assert len(arrived) == 12


def cut_again(whole):
    data, kind, size, *_ = whole
    return segments(data, kind, size) if kind else [data]


def test_packets_of_a_tunnel_are_merged_as_well():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer("ip", pseudo_mac=mac(5), local_ts=[ANY4], remote_ts=[ANY4])
        packets = [tcp(number, around=Around(bare=True)) for number in range(10)]
        send_train(peer, [peer.seal(packet, next_header=4) for packet in packets])
        arrive(rig, 10)
        [(data, kind, size, start, *_)] = frames_of(rig)
        assert (data[6:12], kind, size, start) == (mac(5), SUPER_TCP4, 100, 34)
        assert [packet[14:] for packet in segments(data, kind, size)] == packets


def test_a_super_frame_goes_from_peer_to_peer_without_the_tap():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        here, there = rig.peer(), rig.peer()
        frames = [tcp(number) for number in range(20)]
        rig.plane.set_hub(static=[(frames[0][:6], there.port)])
        send_train(here, [here.seal(ETHERIP + one) for one in frames])
        assert [there.recv_frame() for _ in frames] == frames
        assert rig.count("packets-merged") == 19
        assert rig.tap.pending() == []


def test_a_forged_packet_in_a_train_leaves_no_trace_in_what_is_merged():
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer()
        frames = [tcp(number) for number in range(9)]
        packets = [peer.seal(ETHERIP + one) for one in frames]
        for number in (2, 5, 8):
            packets[number] = packets[number][:-1] + bytes([packets[number][-1] ^ 1])
        send_train(peer, packets)
        arrive(rig, 9)
        kept = [one for number, one in enumerate(frames) if number not in (2, 5, 8)]
        assert [data for whole in frames_of(rig) for data in cut_again(whole)] == kept
        assert rig.count("drop-esp-bad-icv") == 3


def test_a_train_of_everything():
    """ESP, IKE, an unknown SPI and rubbish of one length, and a keep-alive that ends it."""
    with Rig(offloads=TCP_OFFLOADS) as rig:
        peer = rig.peer()
        sealed = [peer.seal(ETHERIP + tcp(number)) for number in range(4)]
        ike = bytes(4) + b"i" * (len(sealed[0]) - 4)
        unknown = b"\x77" * len(sealed[0])
        send_train(peer, [sealed[0], sealed[1], ike, sealed[2], unknown, ike, sealed[3], b"\xff"])
        wait_for(lambda: rig.count("keepalives-in") == 1)
        arrive(rig, 5)
        assert [event[5] for event in rig.events("ike")] == [ike[4:]] * 2
        assert [one[:6] for one in frames_of(rig)] == merged([tcp(number) for number in range(4)], False)
        assert rig.count("drop-unknown-spi") == 1


# The kernel refuses trains on some devices only, so a library in front of libc does it here.
REFUSER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags) {
    int (*real)(int, struct mmsghdr *, unsigned int, int) = dlsym(RTLD_NEXT, "sendmmsg");
    for (unsigned int index = 0; index < count; index++) {
        struct msghdr *header = &messages[index].msg_hdr;
        for (struct cmsghdr *one = CMSG_FIRSTHDR(header); one; one = CMSG_NXTHDR(header, one))
            if (one->cmsg_level == SOL_UDP && one->cmsg_type == UDP_SEGMENT) {
                if (index > 0)
                    return real(fd, messages, index, flags);
                errno = atoi(getenv("REFUSE_WITH"));
                return -1;
            }
    }
    return real(fd, messages, count, flags);
}
"""
SCRIPT = """
    from planes import TAP_MAC, Rig, frame, mac, wait_for

    def carry(rig, peer, size):
        rig.plane.stop()
        sent = [frame(mac(1), TAP_MAC, bytes([number]) * size) for number in range(10)]
        for one in sent:
            rig.tap.send(one)
        rig.plane.start()
        assert [peer.recv_frame() for _ in sent] == sent

    with Rig() as rig:
        peer = rig.peer()
        for size in (100, 100, 60, 100):
            carry(rig, peer, size)
        # Whenever the path is asked for its width, trains are tried again, unless the device cuts none.
        rig.plane.probe(peer.spi_in, 1000)
        peer.recv()
        carry(rig, peer, 100)
        wait_for(lambda: rig.count("esp-packets-out") == 51)
        print(rig.count("trains-refused"), rig.count("trains-out"))
        assert not any(value for name, value in rig.plane.counters().items() if name.startswith("drop-"))
"""


@pytest.fixture(scope="module")
def refuser(tmp_path_factory):
    """A library that lets no train pass."""
    folder = tmp_path_factory.mktemp("refuser")
    (folder / "refuser.c").write_text(REFUSER)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", folder / "refuser.so", folder / "refuser.c", "-ldl"],
        check=True,
    )
    return folder / "refuser.so"


@pytest.mark.parametrize(
    ("error", "refusals"),
    [
        pytest.param("5", "1", id="EIO: no trains on this path any more"),
        pytest.param("90", "3", id="EMSGSIZE: none of such length"),
        pytest.param("22", "3", id="EINVAL: the same of older kernels"),
    ],
)
def test_a_train_that_the_kernel_refuses_is_sent_singly_and_nothing_is_lost(refuser, error, refusals):
    preload = " ".join(filter(None, [os.environ.get("LD_PRELOAD"), str(refuser)]))
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        env={**os.environ, "LD_PRELOAD": preload, "REFUSE_WITH": error, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [refusals, "0"], "")
