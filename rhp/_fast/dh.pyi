def width(group_id: int) -> int:
    """The octets of a public value and of the shared secret. ValueError for a group other than 2, 5, 14, 15, 16."""

def generate(group_id: int) -> tuple[bytes, bytes]:
    """A fresh private and public value, each big-endian and `width(group_id)` octets long (RFC 3526).

    ValueError for an unknown group; RuntimeError when OpenSSL fails.
    """

def agree(group_id: int, private: bytes, peer_public: bytes) -> bytes:
    """The shared secret g^ir, big-endian, `width(group_id)` octets with leading zeros kept (RFC 7296 section 2.14).

    ValueError when `peer_public` has another length or is not 1 < y < p - 1 (RFC 6989 section 2.1), or the group is
    unknown; RuntimeError when OpenSSL fails.
    """
