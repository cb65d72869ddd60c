"""IKE's pseudo-random functions (RFC 7296 section 2.13) for Python, all of them an HMAC.

Functions go by their numbers in the registry of IKEv2. The HMAC itself stands in `evp` with everything else that calls
OpenSSL. A call takes microseconds, so the GIL is kept.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize

from rhp._fast.evp cimport hmac_chain, hmac_once

cdef enum:
    OUTPUT_MAX = 64
    ROUNDS = 255

cdef extern from "<string.h>" nogil:
    void explicit_bzero(void* data, size_t length)


cdef size_t output(int prf_id) except 0:
    """The octets of a function's output, which name its hash."""
    if prf_id == 2:
        return 20
    if prf_id == 5:
        return 32
    if prf_id == 6:
        return 48
    if prf_id == 7:
        return 64
    raise ValueError(f"unknown pseudo-random function {prf_id}")


cdef inline const unsigned char* octets(bytes data) except NULL:
    return <const unsigned char*>PyBytes_AsString(data)


def prf(prf_id: int, bytes key not None, bytes data not None) -> bytes:
    """prf(key, data)."""
    cdef size_t size = output(prf_id)
    cdef unsigned char out[OUTPUT_MAX]
    try:
        if hmac_once(size, octets(key), len(key), octets(data), len(data), out):
            raise RuntimeError(f"OpenSSL could not compute pseudo-random function {prf_id}")
        return PyBytes_FromStringAndSize(<char*>out, size)
    finally:
        explicit_bzero(out, sizeof(out))


def prf_plus(prf_id: int, bytes key not None, bytes seed not None, Py_ssize_t length) -> bytes:
    """The head of prf+(key, seed)."""
    cdef size_t size = output(prf_id)
    cdef unsigned char out[ROUNDS * OUTPUT_MAX]
    if length < 0:
        raise ValueError("the length must not be negative")
    if <size_t>length > ROUNDS * size:
        raise ValueError(f"prf+ is not defined for more than {ROUNDS} rounds")
    try:
        if hmac_chain(size, octets(key), len(key), octets(seed), len(seed), out, length):
            raise RuntimeError(f"OpenSSL could not compute pseudo-random function {prf_id}")
        return PyBytes_FromStringAndSize(<char*>out, length)
    finally:
        explicit_bzero(out, length)
