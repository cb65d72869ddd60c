"""The file as another program reads it."""

import io

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from rhp.capture.pcapng import LinkType, PcapngWriter

PACKETS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1 << 62),
        st.binary(max_size=200),
        st.integers(0, 1000),
        st.sampled_from([None, True, False]),
        st.text(max_size=20),
    )
)


@given(PACKETS)
def test_what_was_written_is_read(packets):
    file = io.BytesIO()
    writer = PcapngWriter(file, "rhp")
    assert writer.interface("rhp0", LinkType.ETHERNET) == 0
    assert writer.interface("eth0", LinkType.RAW_IP) == 1
    for interface, time, data, more, outward, comment in packets:
        writer.packet(interface, time, data, len(data) + more, outward=outward, comment=comment)
    assert writer.size == len(file.getvalue())
    file.seek(0)
    read = list(RawPcapNgReader(file))
    assert len(read) == len(packets)
    for (interface, time, data, more, outward, comment), (got, meta) in zip(packets, read, strict=True):
        assert got == data
        assert (meta.linktype, meta.ifname) == ((1, b"rhp0"), (101, b"eth0"))[interface]
        assert (meta.tshigh << 32) + meta.tslow == time
        assert meta.tsresol == 1_000_000_000
        assert meta.wirelen == len(data) + more
        assert meta.direction == {None: None, True: 2, False: 1}[outward]
        assert (meta.comments or [b""]) == [comment.encode()]
