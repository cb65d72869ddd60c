"""What can go wrong, and whose fault it is.

`PeerError` is the peer's: it carries the notify that answers it. `LocalError` is the caller's: an unknown connection or
id. Neither leaves `Engine.receive` or `Engine.handle_timer`; the verbs that a person calls may raise `LocalError`.
"""

import enum


class Fault(enum.Enum):
    """Whose fault an ending was."""

    NONE = "none"
    """Nobody's: it was asked for."""
    LOCAL = "local"
    """Ours: our configuration, our clock, our guard."""
    PEER = "peer"
    """The peer's: it sent something wrong or refused us."""
    NETWORK = "network"
    """The network's: no answer came."""


class IkeError(Exception):
    """Base of the engine's errors; `reason` is a kebab-case name that is also the counter's."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class LocalError(IkeError):
    """The caller asked for something that is not there or not possible now."""


class PeerError(IkeError):
    """The peer broke a rule or asks for something we refuse.

    `notify` is the error notify to answer with (RFC 7296 section 3.10.1), `data` its content and `spi` the ESP SPI
    that it is about, if any; a `fatal` one ends the IKE SA.
    """

    def __init__(
        self,
        reason: str,
        notify: int,
        *,
        data: bytes = b"",
        spi: bytes = b"",
        detail: str = "",
        fatal: bool = False,
    ) -> None:
        super().__init__(reason, detail)
        self.notify = notify
        self.data = data
        self.spi = spi
        self.fatal = fatal
