def prf(prf_id: int, key: bytes, data: bytes) -> bytes:
    """prf(key, data) by HMAC-SHA1 (2), HMAC-SHA2-256 (5), -384 (6) or -512 (7), its whole output (RFC 2104, RFC 4868).

    Key and data may be empty and of any length. ValueError for another function; RuntimeError when OpenSSL fails.
    """

def prf_plus(prf_id: int, key: bytes, seed: bytes, length: int) -> bytes:
    """The first `length` octets of prf+(key, seed) (RFC 7296 section 2.13).

    ValueError when that takes more than 255 rounds or is negative, or for another function than those of `prf`;
    RuntimeError when OpenSSL fails.
    """
