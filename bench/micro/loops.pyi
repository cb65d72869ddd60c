class Lane:
    """One suite and payload size, with a batch of packets to work on.

    `encr_id` and `integ_id` are IANA transform numbers, keys as IKEv2 derives them, `size` in octets. ValueError for a
    suite that is not offered.
    """

    def __init__(self, encr_id: int, encr_key: bytes, integ_id: int, integ_key: bytes, size: int) -> None: ...
    def seal(self, batches: int) -> float:
        """Nanoseconds for one packet through `esp_seal`."""

    def open(self, batches: int) -> float:
        """Nanoseconds for one packet through `esp_open`; the packets are sealed between the timed batches."""

    def raw_seal(self, batches: int) -> float:
        """Nanoseconds for the EVP calls alone that one such packet needs, with nothing around them."""

    def raw_open(self, batches: int) -> float:
        """The same for opening."""
