class SealPath:
    """A lane that is none: everything that `seal_frame` needs, with queues that are emptied instead of sent.

    Keys are as IKEv2 derives them, `size` is the ESP payload of a packet in octets: EtherIP, headers and segment.
    ValueError for a suite that is not offered.
    """

    def __init__(self, encr_id: int, encr_key: bytes, integ_id: int, integ_key: bytes, size: int) -> None: ...
    def seal(self, super_frames: int) -> float:
        """Nanoseconds for one packet, from the TCP super-frame to the train that the kernel would be given."""
