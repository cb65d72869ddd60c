def segments(
    frame: bytes,
    kind: int,
    segment_size: int,
    network: int = 14,
    *,
    checksum_start: int | None = None,
    checksum_offset: int | None = None,
) -> list[bytes]:
    """The packets that a super-frame stands for, complete with headers and checksums.

    `kind` is a number of parcel.pxd (0 one frame, 1 TCP over IPv4, 4 TCP over IPv6, 5 UDP), `segment_size` the octets
    of payload in each packet, `network` the offset of the IP header (0: `frame` is an IP packet). The checksum field
    holds the folded sum of the pseudo-header; where it stands follows from the headers unless it is given. ValueError
    when the frame is not what the kind says.
    """
