class EspDropped(Exception):
    """A packet was not sealed or not accepted; `reason` is the drop reason's name, for example "esp-bad-icv"."""

    reason: str
    def __init__(self, reason: str) -> None: ...

class EspSealer:
    """One outbound direction of an SA (RFC 4303), for tests and tools.

    `encr_id` and `integ_id` are IANA transform numbers. `encr_key` ends with the suite's salt, as IKEv2 derives it.
    AEAD suites take `integ_id` 0 and an empty `integ_key`. ValueError on an unknown suite, a key of the wrong length or
    a reserved SPI (below 256).
    """

    def __init__(self, encr_id: int, encr_key: bytes, integ_id: int, integ_key: bytes, spi: int, esn: bool) -> None: ...
    def sealed_length(self, payload_length: int) -> int:
        """The length of the ESP packet in octets, header to ICV. EspDropped("esp-oversized") above 65535."""

    def payload_fit(self, room: int) -> int:
        """The longest payload in octets whose packet fits `room` octets; 0 when none does."""

    def seal(self, seq: int, next_header: int, payload: bytes) -> bytes:
        """The ESP packet, SPI to ICV.

        EspDropped("sequence-exhausted") when `seq` is 0 or beyond 2^32 - 1 without ESN (2^64 - 1 with it, above which
        OverflowError), EspDropped("esp-oversized") above 65535 octets. One key must never see a `seq` twice.
        """

class EspOpener:
    """One inbound direction of an SA with its replay window (RFC 4303 section 3.4), for tests and tools.

    Arguments as for `EspSealer`; `replay_window` is 32 to 4096 packets. `top` starts the window in the middle of a
    sequence space, with nothing seen yet.
    """

    def __init__(
        self,
        encr_id: int,
        encr_key: bytes,
        integ_id: int,
        integ_key: bytes,
        spi: int,
        esn: bool,
        replay_window: int,
        *,
        top: int = 0,
    ) -> None: ...
    @property
    def replay_top(self) -> int:
        """The highest sequence number authenticated so far, 64 bits with ESN."""

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """The next header and the payload, TFC padding included. EspDropped with the reason otherwise."""
