"""Whatever arrives, what was merged is cut again into the same frames, and a broken frame is never mended."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhp._fast import merge, segment
from rhp.lab.flows import ACK, FIN, PLAIN, PLAIN6, PSH, TIMESTAMPS, Segment, spoilt, tcp, udp

OTHER = Segment(options=TIMESTAMPS, ports=(3, 4))
BUILDERS = {
    "tcp4": lambda number, size, flags: tcp(number, size, flags),
    "tcp6": lambda number, size, flags: tcp(number, size, flags, PLAIN6),
    "stamped": lambda number, size, flags: tcp(number, size, flags, header=OTHER),
    "udp4": lambda number, size, _: udp(number, size),
    "udp6": lambda number, size, _: udp(number, size, PLAIN6),
}
MOSTLY_FULL = st.sampled_from([100] * 6 + [0, 1, 7, 99, 101])
MOSTLY_PLAIN = st.sampled_from([ACK] * 9 + [ACK | PSH, ACK | FIN, 0, 0xFF])
# Where octets are turned over: mostly nowhere, else anywhere in the headers or at the end.
DAMAGE = st.one_of(st.none(), st.none(), st.none(), st.tuples(st.integers(-4, 60), st.integers(1, 255)))


@st.composite
def streams(draw):
    """Up to three flows whose packets follow each other, mixed, with gaps, repetitions, damage and rubbish."""
    names = draw(st.lists(st.sampled_from(sorted(BUILDERS)), min_size=1, max_size=3, unique=True))
    numbers = dict.fromkeys(names, 0)
    frames = []
    for _ in range(draw(st.integers(0, 30))):
        name = draw(st.sampled_from(names))
        frame = BUILDERS[name](numbers[name], draw(MOSTLY_FULL), draw(MOSTLY_PLAIN))
        numbers[name] += draw(st.sampled_from([1] * 12 + [0, 2]))
        damage = draw(DAMAGE)
        frames.append(spoilt(frame, damage[0] % len(frame), damage[1]) if damage else frame)
        if draw(st.integers(0, 15)) == 0:
            frames.append(draw(st.binary(max_size=200)))
    return frames


def same_identification(frames):
    """Whether two frames in a row have one IPv4 identification: the one thing that merging may lose, with DF."""
    return any(a[12:14] == b[12:14] == b"\x08\x00" and a[18:20] == b[18:20] for a, b in itertools.pairwise(frames))


def cut(results, network=14):
    for data, kind, size, *_ in results:
        yield from segment.segments(data, kind, size, network) if kind else [data]


@settings(max_examples=400, deadline=None)
@given(frames=streams(), wanted=st.booleans())
def test_cut_again_it_is_what_came_in(frames, wanted):
    results = merge.merged(frames, wanted)
    if not same_identification(frames):
        assert list(cut(results)) == frames
    assert wanted or all(kind != 5 for _, kind, *_ in results)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(BUILDERS)),
    count=st.integers(2, 20),
    broken=st.integers(0, 19),
    offset=st.integers(1, 100),
    value=st.integers(1, 255),
)
def test_a_broken_payload_is_never_mended(name, count, broken, offset, value):
    frames = [BUILDERS[name](number, 100, ACK) for number in range(count)]
    broken %= count
    frames[broken] = spoilt(frames[broken], -offset, value)
    results = merge.merged(frames, True)
    # A single octet that changed always shows in the checksum.
    assert (frames[broken], 0, 0, 0, 0, False) in results
    assert list(cut(results)) == frames
    assert len(results) == 1 + (broken > 0) + (broken < count - 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=2000), max_size=20), st.sampled_from([0, 14, 18, 22]), st.sampled_from([0, 2]))
def test_rubbish_passes_untouched(frames, network, front):
    assert [data for data, *_ in merge.merged(frames, True, network, front)] == frames


@pytest.mark.parametrize("build", [tcp, udp])
@pytest.mark.parametrize("around", [PLAIN, PLAIN6])
@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 1500), count=st.integers(1, 70), last=st.integers(1, 1500))
def test_every_size_of_payload(build, around, size, count, last):
    step = {"step": size} if build is tcp else {}
    frames = [build(number, size, around=around, **step) for number in range(count)]
    frames.append(build(count, min(last, size), around=around, **step))
    results = merge.merged(frames, True)
    assert list(cut(results)) == frames
    most = 64 if build is udp else count + 1
    headers = len(frames[0]) - 14 - size
    most = min(most, (65535 - headers) // size)
    assert len(results) <= -(-len(frames) // most) + 1
