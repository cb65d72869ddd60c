"""What is put together, what it looks like then, and what never is."""

import pytest
from scapy.all import IP, TCP, UDP, Ether, IPv6

from rhp._fast import merge, segment
from rhp.lab.flows import (
    ACK,
    CWR,
    DF,
    ECE,
    FIN,
    PLAIN,
    PLAIN6,
    PSH,
    RST,
    SEGMENT,
    STAMPED,
    SYN,
    URG,
    Around,
    Segment,
    checksum,
    pseudo_header,
    spoilt,
    tcp,
    udp,
)

TCP4, TCP6, USO = 1, 4, 5


def behind_tags(data, network):
    while network and data[network - 2 : network] == b"\x81\x00":
        network += 4
    return network


def counts(frames, udp=True, network=14, front=2):
    """How many frames went into each result; the results, cut again, are the frames."""
    found = []
    again = []
    for data, kind, size, *_ in merge.merged(frames, udp, network, front):
        pieces = segment.segments(data, kind, size, behind_tags(data, network)) if kind else [data]
        found.append(len(pieces))
        again += pieces
    assert again == frames
    return found


def only(frames, **how):
    [result] = merge.merged(frames, True, **how)
    return result


# What comes out


@pytest.mark.parametrize(("version", "network", "kind"), [(4, 34, TCP4), (6, 54, TCP6)])
def test_three_segments_become_one(version, network, kind):
    frames = [tcp(number, around=Around(version=version)) for number in range(3)]
    data, *description = only(frames)
    assert description == [kind, 100, network, 16, True]
    assert data[network + 20 :] == b"".join(frame[network + 20 :] for frame in frames)
    whole = Ether(data)
    assert (whole[TCP].seq, whole[TCP].ack, whole[TCP].flags) == (7000, 9, "A")


def test_lengths_and_the_header_checksum_are_those_of_the_whole():
    assert (Ether(only([tcp(0), tcp(1)])[0])[IP].len, Ether(only([udp(0), udp(1)])[0])[UDP].len) == (240, 208)
    assert Ether(only([tcp(0, around=PLAIN6), tcp(1, around=PLAIN6)])[0])[IPv6].plen == 220
    assert checksum(only([tcp(0), tcp(1)])[0][14:34]) == 0


@pytest.mark.parametrize(("build", "protocol"), [(tcp, 6), (udp, 17)])
@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
def test_the_checksum_field_holds_the_sum_of_the_pseudo_header(build, protocol, around):
    data, _, _, start, offset, unfinished = only([build(0, around=around), build(1, around=around)])
    expected = ~checksum(pseudo_header(around.addresses(), protocol, len(data) - start)) & 0xFFFF
    assert unfinished
    assert int.from_bytes(data[start + offset : start + offset + 2]) == expected


def test_the_last_flags_are_those_of_the_whole():
    for flags, expected in ((ACK | PSH, "PA"), (ACK | FIN, "FA"), (ACK | PSH | FIN, "FPA")):
        frames = [tcp(0), tcp(1, flags=flags)]
        assert Ether(only(frames)[0])[TCP].flags == expected
        assert counts(frames) == [2]


def test_datagrams_become_one():
    for version, start in ((4, 34), (6, 54)):
        frames = [udp(number, size=size, around=Around(version=version)) for number, size in enumerate((100, 100, 7))]
        data, *description = only(frames)
        assert description == [USO, 100, start, 6, True]
        assert data[start + 8 :] == b"".join(frame[start + 8 :] for frame in frames)
        assert counts(frames) == [3]


def test_one_frame_comes_out_as_it_came_in():
    for frame in (tcp(0), udp(0), tcp(0, around=PLAIN6), udp(0, check=0), b"", b"\x00" * 13, b"\xff" * 60):
        assert merge.merged([frame], True) == [(frame, 0, 0, 0, 0, False)]


@pytest.mark.parametrize("build", [tcp, udp])
@pytest.mark.parametrize("version", [4, 6])
def test_behind_tags_and_without_ethernet(build, version):
    for vlans in ((5,), (5, 6)):
        frames = [build(number, around=Around(version=version, vlans=vlans)) for number in range(3)]
        assert counts(frames) == [3]
        assert only(frames)[3] == 14 + 4 * len(vlans) + (20 if version == 4 else 40)
    frames = [build(number, around=Around(version=version, bare=True)) for number in range(3)]
    assert counts(frames, network=0, front=0) == [3]


def test_options_stay():
    frames = [tcp(number, header=STAMPED) for number in range(5)]
    assert counts(frames) == [5]


def test_numbers_wrap():
    assert counts(
        [tcp(number, seq=0xFFFFFF00 + 100 * number, around=Around(id=0xFFFE + number)) for number in range(5)]
    ) == [5]


def test_one_identification_for_all_is_merged_as_the_kernel_does():
    frames = [tcp(number, around=Around(id=0)) for number in range(4)]
    data, kind, size, *_ = only(frames)
    # Cut again the identifications count, which DF makes meaningless (RFC 6864); all else is as it was.
    assert segment.segments(data, kind, size) == [tcp(number, around=Around(id=number)) for number in range(4)]


# What ends a run


def test_a_shorter_segment_is_the_last():
    assert counts([tcp(0), tcp(1, size=60), tcp(2, seq=7160), tcp(3, seq=7260)]) == [2, 2]
    assert counts([udp(0), udp(1, size=60), udp(2), udp(3)]) == [2, 2]


def test_a_longer_segment_begins_anew():
    assert counts([tcp(0), tcp(1, size=101), tcp(2, seq=7201)]) == [1, 2]
    assert counts([udp(0), udp(1, size=101), udp(2, size=101)]) == [1, 2]


@pytest.mark.parametrize("flags", [ACK | PSH, ACK | FIN])
def test_push_and_fin_are_the_last(flags):
    assert counts([tcp(0), tcp(1, flags=flags), tcp(2), tcp(3)]) == [2, 2]
    assert counts([tcp(0, flags=flags), tcp(1), tcp(2)]) == [1, 2]


def test_at_most_one_ip_packet():
    frames = [tcp(number, size=1448, step=1448, header=STAMPED) for number in range(100)]
    # (65535 - 52) // 1448 segments fit one IPv4 packet; behind each the next begins where it was opened.
    assert counts(frames) == [45, 45, 10]
    frames = [tcp(number, size=4095, step=4095, around=PLAIN6) for number in range(33)]
    # Not one octet more: 16 * 4095 = 65520 would fit without the headers.
    assert counts(frames) == [15, 15, 3]


def test_exactly_the_longest_packet():
    # 40 + 5 * 13099 = 65535.
    assert counts([tcp(number, size=13099, step=13099) for number in range(10)]) == [5, 5]
    assert counts([tcp(number, size=13100, step=13100) for number in range(10)]) == [4, 4, 2]


def test_at_most_64_datagrams():
    assert counts([udp(number) for number in range(130)]) == [64, 64, 2]


def test_many_runs_and_single_frames_in_one_room():
    frames = []
    for number in range(400):
        frames.append(tcp(number, size=1400, step=1400, flags=ACK | PSH if number % 37 == 36 else ACK))
        if number % 29 == 28:
            frames.append(spoilt(udp(number, size=9000), -1))
    assert max(counts(frames)) > 20


# What never joins


CHANGES = {
    "another station": lambda: spoilt(tcp(1), 11),
    "another vlan": lambda: tcp(1, around=Around(vlans=(7,))),
    "another source": lambda: tcp(1, around=Around(source="10.0.0.3")),
    "another destination": lambda: tcp(1, around=Around(destination="10.0.0.3")),
    "another hop count": lambda: tcp(1, around=Around(ttl=63)),
    "another class": lambda: tcp(1, around=Around(tos=4)),
    "congestion experienced": lambda: tcp(1, around=Around(tos=3)),
    "options of IPv4": lambda: tcp(1, around=Around(options=b"\x01\x01\x01\x00")),
    "no DF": lambda: tcp(1, around=Around(fragment=0)),
    "the reserved flag": lambda: tcp(1, around=Around(fragment=DF | 0x8000)),
    "more fragments": lambda: tcp(1, around=Around(fragment=0x2000)),
    "a later fragment": lambda: tcp(1, around=Around(fragment=0x0001)),
    "an identification too far": lambda: tcp(1, around=Around(id=103)),
    "an identification of the past": lambda: tcp(1, around=Around(id=99)),
    "a wrong header checksum": lambda: tcp(1, around=Around(check=0x1234)),
    "another version": lambda: tcp(1, around=PLAIN6),
    "another protocol": lambda: udp(1),
    "other ports": lambda: tcp(1, header=Segment(ports=(1000, 2001))),
    "a gap": lambda: tcp(1, seq=7101),
    "an overlap": lambda: tcp(1, seq=7099),
    "the same once more": lambda: tcp(0),
    "another acknowledgement": lambda: tcp(1, header=Segment(ack=10)),
    "another window": lambda: tcp(1, header=Segment(window=501)),
    "an urgent pointer": lambda: tcp(1, header=Segment(urgent=1)),
    "a reserved bit": lambda: tcp(1, header=Segment(reserved=1)),
    "options of TCP": lambda: tcp(1, header=STAMPED),
    "a pure acknowledgement": lambda: tcp(1, size=0),
    "a wrong checksum": lambda: tcp(1, header=Segment(check=0x1234)),
    "a spoilt payload": lambda: spoilt(tcp(1), -1),
    "padding": lambda: tcp(1) + b"\x00",
    "a cut end": lambda: tcp(1)[:-1],
    "congestion echoed": lambda: tcp(1, flags=ACK | ECE),
    "the window reduced": lambda: tcp(1, flags=ACK | CWR),
    "a reset": lambda: tcp(1, flags=ACK | RST),
    "a beginning": lambda: tcp(1, flags=ACK | SYN),
    "urgent": lambda: tcp(1, flags=ACK | URG),
    "no acknowledgement": lambda: tcp(1, flags=0),
    "a runt": lambda: tcp(1)[:40],
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_packet_does_not_join(name):
    frames = [tcp(0), CHANGES[name](), tcp(2), tcp(3)]
    assert counts(frames)[0] == 1


DATAGRAMS = {
    "without checksum": lambda: udp(1, check=0),
    "a wrong checksum": lambda: udp(1, check=0x1234),
    "a spoilt payload": lambda: spoilt(udp(1), -1),
    "a length too long": lambda: udp(1, length=109),
    "a length too short": lambda: udp(1, length=107),
    "nothing inside": lambda: udp(1, size=0),
    "padding": lambda: udp(1) + b"\x00",
    "another port": lambda: udp(1, ports=(1001, 2000)),
    "another hop count": lambda: udp(1, around=Around(ttl=63)),
    "another class": lambda: udp(1, around=Around(tos=1)),
    "a fragment": lambda: udp(1, around=Around(fragment=0x2000)),
}


@pytest.mark.parametrize("name", DATAGRAMS)
def test_another_datagram_does_not_join(name):
    assert counts([udp(0), DATAGRAMS[name](), udp(2), udp(3)])[0] == 1


@pytest.mark.parametrize("build", [tcp, udp])
@pytest.mark.parametrize("change", [{"label": 1}, {"tos": 1}, {"ttl": 63}, {"destination": "fd00::3"}], ids=str)
def test_another_packet_of_ip6_does_not_join(build, change):
    frames = [build(number, around=PLAIN6) for number in range(3)]
    frames[1] = build(1, around=PLAIN6._replace(**change))
    assert counts(frames)[0] == 1


@pytest.mark.parametrize("flags", [CWR | ACK, URG | ACK, SYN, RST | ACK, 0], ids=hex)
def test_two_with_these_flags_do_not_join_either(flags):
    assert counts([tcp(number, flags=flags) for number in range(3)]) == [1, 1, 1]


def test_two_with_these_flags_join():
    assert counts([tcp(number, flags=ACK | ECE) for number in range(3)]) == [3]


def test_acknowledgements_stay_as_many_as_they_were():
    assert counts([tcp(number, size=0, step=0) for number in range(3)]) == [1, 1, 1]


def test_datagrams_only_where_they_are_wanted():
    assert counts([udp(number) for number in range(3)], udp=False) == [1, 1, 1]


def test_without_df_a_constant_identification_does_not_join():
    assert counts([tcp(number, around=Around(id=5, fragment=0)) for number in range(3)]) == [1, 1, 1]
    # Nor does it after an identification that counted, nor the other way round.
    assert counts([tcp(0, around=Around(id=5)), tcp(1, around=Around(id=6)), tcp(2, around=Around(id=6))]) == [2, 1]


def test_extension_headers_of_ip6_do_not_join():
    inner = [tcp(number, around=Around(version=6, bare=True))[40:] for number in range(2)]
    frames = []
    for part in inner:
        packet = bytearray(tcp(0, around=PLAIN6)[:54])
        packet[18:20] = (len(part) + 8).to_bytes(2)
        packet[20] = 60
        frames.append(bytes(packet) + b"\x06\x00\x01\x04\x00\x00\x00\x00" + part)
    assert counts(frames) == [1, 1]


def test_the_other_zero_does_not_join():
    # A payload that makes the sum 0xffff: the checksum is 0, and 0xffff in its place verifies as well.
    frame = tcp(0, size=100)
    field = int.from_bytes(frame[50:52])
    last = int.from_bytes(frame[-2:]) + field
    zero = frame[:50] + b"\x00\x00" + frame[52:-2] + ((last & 0xFFFF) + (last >> 16)).to_bytes(2)
    other = zero[:50] + b"\xff\xff" + zero[52:]
    assert counts([zero, tcp(1)]) == [2]
    assert counts([other, tcp(1)]) == [1, 1]


# A broken packet is never hidden


@pytest.mark.parametrize("build", [tcp, udp])
@pytest.mark.parametrize("broken", range(4))
def test_a_broken_packet_comes_out_broken(build, broken):
    frames = [build(number) for number in range(4)]
    for offset in (-1, 54, 90):
        spoilt_frames = [spoilt(frame, offset) if number == broken else frame for number, frame in enumerate(frames)]
        results = merge.merged(spoilt_frames, True)
        assert (spoilt_frames[broken], 0, 0, 0, 0, False) in results
        counts(spoilt_frames)


def test_a_first_packet_whose_tail_is_covered_is_summed_whole():
    # The next packet's headers lie over the last 42 to 96 octets of the first; odd sizes put them at odd addresses.
    for size in (1, 2, 41, 53, 54, 55, 99, 1401):
        for header in (SEGMENT, STAMPED):
            frames = [tcp(number, size=size, step=size, header=header) for number in range(2)]
            assert counts(frames) == [2]
            for offset in range(1, min(size, 60) + 1):
                assert counts([spoilt(frames[0], -offset), frames[1]]) == [1, 1]


def test_out_of_range_is_refused():
    with pytest.raises(ValueError, match="out of range"):
        merge.merged([], True, network=-1)
    with pytest.raises(ValueError, match="out of range"):
        merge.merged([], True, front=1000)
    with pytest.raises(ValueError, match="longer than any packet"):
        merge.merged([b"\x00" * 65550], True)


@pytest.mark.parametrize("network", [1, 13, 18, 22, 23, 65535])
def test_a_wrong_offset_merges_nothing(network):
    frames = [tcp(number) for number in range(3)]
    assert [data for data, *_ in merge.merged(frames, True, network)] == frames
