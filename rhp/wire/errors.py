"""The one error of this room."""


class DecodeError(ValueError):
    """The bytes are not a well-formed IKEv2 message; `reason` is a counter's name in kebab-case."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedCriticalPayload(DecodeError):
    """A payload type that we do not know has its critical bit set (RFC 7296 section 2.5)."""

    def __init__(self, payload_type: int) -> None:
        super().__init__("unsupported-critical-payload")
        self.payload_type = payload_type
