"""MODP Diffie-Hellman (RFC 2409, RFC 3526) for Python.

Values cross this boundary as big-endian octets of the group's width. The arithmetic is OpenSSL's, and stands in `evp`
with everything else that calls it; the GIL is released meanwhile.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize

from rhp._fast.evp cimport modp_agree, modp_generate

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void* data, size_t length)

cdef enum:
    WIDTH_MAX = 512

_WIDTHS = {2: 128, 5: 192, 14: 256, 15: 384, 16: 512}


def width(group_id: int) -> int:
    """The octets of a public value and of the shared secret."""
    size = _WIDTHS.get(group_id)
    if size is None:
        raise ValueError(f"unknown MODP group {group_id}")
    return size


def generate(group_id: int) -> tuple[bytes, bytes]:
    """A fresh private and public value."""
    cdef int group = group_id
    cdef int size = width(group_id)
    cdef unsigned char private[WIDTH_MAX]
    cdef unsigned char public[WIDTH_MAX]
    cdef int result
    try:
        with nogil:
            result = modp_generate(group, size, private, public)
        if result:
            raise RuntimeError(f"OpenSSL could not make a key of MODP group {group_id}")
        return PyBytes_FromStringAndSize(<char*>private, size), PyBytes_FromStringAndSize(<char*>public, size)
    finally:
        explicit_bzero(private, sizeof(private))


def agree(group_id: int, private: bytes, peer_public: bytes) -> bytes:
    """The shared secret."""
    cdef int group = group_id
    cdef int size = width(group_id)
    cdef int private_len = len(private)
    cdef const unsigned char* own
    cdef const unsigned char* peer
    cdef unsigned char secret[WIDTH_MAX]
    cdef int result
    if len(peer_public) != size:
        raise ValueError(f"a public value of MODP group {group_id} has {size} octets, not {len(peer_public)}")
    if not 0 < private_len <= size:
        raise ValueError("a private value of this length does not belong to the group")
    own = <const unsigned char*>PyBytes_AsString(private)
    peer = <const unsigned char*>PyBytes_AsString(peer_public)
    try:
        with nogil:
            result = modp_agree(group, size, own, private_len, peer, secret)
        if result == -2:
            raise ValueError(f"the peer's value is not within MODP group {group_id}")
        if result:
            raise RuntimeError(f"OpenSSL could not agree in MODP group {group_id}")
        return PyBytes_FromStringAndSize(<char*>secret, size)
    finally:
        explicit_bzero(secret, sizeof(secret))
