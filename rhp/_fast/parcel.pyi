def from_tap(data: bytes) -> tuple[bytes, int, int, int, int, bool]:
    """What a read of the TAP holds: (frame, kind, segment size, checksum start, checksum offset, unfinished).

    `data` begins with a struct virtio_net_hdr of 10 octets; `kind` is a number of parcel.pxd. ValueError when the
    header says what cannot be true of the frame.
    """

def to_tap(
    frame: bytes,
    kind: int,
    segment_size: int,
    checksum_start: int,
    checksum_offset: int,
    unfinished: bool,
    *,
    finish: bool = False,
) -> bytes:
    """What is written to the TAP for a frame: a struct virtio_net_hdr of 10 octets and the frame.

    With `finish` the checksum is completed first, as for a tunnel. ValueError when it would stand outside the frame.
    """
