def read(data: bytes) -> tuple[str, str, str | None, bool] | None:
    """(kind, target, sender that may be learned or None, whether it may be answered), or None.

    Kinds: "arp-request", "arp-reply", "solicitation", "advertisement".
    """

def answer(data: bytes, mac: bytes) -> bytes | None:
    """The frame that answers a question with `mac`, or None when it is no question. ValueError unless six octets."""
