from collections.abc import Sequence

def merged(
    frames: Sequence[bytes], udp: bool, network: int = 14, front: int = 2
) -> list[tuple[bytes, int, int, int, int, bool]]:
    """What comes out when `frames` arrive in this order in one batch, merged where that is allowed.

    Each result is (octets, kind, segment size, checksum start, checksum offset, unfinished), as in parcel.pxd.
    `network` is the offset of the IP header in frames without tags, 0 for bare IP packets; `front` the octets that
    stand in front of each frame in its packet. ValueError when these or a frame are out of range.
    """
