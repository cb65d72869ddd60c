"""The one error of this room."""


class DecodeError(ValueError):
    """The bytes are not a well-formed IKEv2 message; `reason` is a counter's name in kebab-case.

    `detail` adds to the text of the error alone; it never holds octets of the message.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class UnsupportedCriticalPayload(DecodeError):
    """A payload type that we do not know has its critical bit set (RFC 7296 section 2.5)."""

    def __init__(self, payload_type: int) -> None:
        super().__init__("unsupported-critical-payload", f"type {payload_type}")
        self.payload_type = payload_type
