"""MODP Diffie-Hellman (RFC 2409, RFC 3526) through EVP_PKEY "DH".

Every group is a safe prime with generator 2, so 1 < y < p - 1 is the whole check of a peer's value (RFC 6989 section
2.1). Values cross this boundary as big-endian octets of the group's width. The GIL is released while OpenSSL computes.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize

from openssl cimport *

cdef enum:
    WIDTH_MAX = 512

_WIDTHS = {2: 128, 5: 192, 14: 256, 15: 384, 16: 512}


cdef BIGNUM* prime(int group) noexcept nogil:
    if group == 2:
        return BN_get_rfc2409_prime_1024(NULL)
    if group == 5:
        return BN_get_rfc3526_prime_1536(NULL)
    if group == 14:
        return BN_get_rfc3526_prime_2048(NULL)
    if group == 15:
        return BN_get_rfc3526_prime_3072(NULL)
    return BN_get_rfc3526_prime_4096(NULL)


cdef EVP_PKEY* key_from(int group, int selection, const char* name, const BIGNUM* value) noexcept nogil:
    """A key of the group with one part set (`name`, NULL for the bare parameters); NULL on failure."""
    cdef BIGNUM* p = prime(group)
    cdef BIGNUM* g = BN_new()
    cdef OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new()
    cdef OSSL_PARAM* params = NULL
    cdef EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_name(NULL, b"DH", NULL)
    cdef EVP_PKEY* key = NULL
    # The primes are given as numbers because MODP-1024 has no name in OpenSSL; it knows the others by their value and
    # then uses a short private exponent. Without q, which OpenSSL 3.0 does not accept for a group it cannot name.
    if (
        p != NULL and g != NULL and builder != NULL and ctx != NULL
        and BN_set_word(g, 2)
        and OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_P, p)
        and OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_G, g)
        and (name == NULL or OSSL_PARAM_BLD_push_BN(builder, name, value))
    ):
        params = OSSL_PARAM_BLD_to_param(builder)
    if params == NULL or EVP_PKEY_fromdata_init(ctx) <= 0 or EVP_PKEY_fromdata(ctx, &key, selection, params) <= 0:
        key = NULL
    OSSL_PARAM_free(params)
    EVP_PKEY_CTX_free(ctx)
    OSSL_PARAM_BLD_free(builder)
    BN_free(g)
    BN_free(p)
    return key


cdef int export_part(const EVP_PKEY* key, const char* name, unsigned char* out, int width) noexcept nogil:
    cdef BIGNUM* number = NULL
    cdef int written = -1
    if EVP_PKEY_get_bn_param(key, name, &number) > 0:
        written = BN_bn2binpad(number, out, width)
    BN_clear_free(number)
    return 0 if written == width else -1


cdef int generate_pair(int group, int width, unsigned char* private, unsigned char* public) noexcept nogil:
    cdef EVP_PKEY* domain = key_from(group, EVP_PKEY_KEY_PARAMETERS, NULL, NULL)
    cdef EVP_PKEY_CTX* ctx = NULL
    cdef EVP_PKEY* key = NULL
    cdef int result = -1
    if domain != NULL:
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, domain, NULL)
    if (
        ctx != NULL and EVP_PKEY_keygen_init(ctx) > 0 and EVP_PKEY_generate(ctx, &key) > 0
        and export_part(key, OSSL_PKEY_PARAM_PRIV_KEY, private, width) == 0
        and export_part(key, OSSL_PKEY_PARAM_PUB_KEY, public, width) == 0
    ):
        result = 0
    EVP_PKEY_free(key)
    EVP_PKEY_CTX_free(ctx)
    EVP_PKEY_free(domain)
    ERR_clear_error()
    return result


cdef bint in_range(int group, const BIGNUM* value) noexcept nogil:
    """1 < y < p - 1."""
    cdef BIGNUM* limit = prime(group)
    cdef bint good = (
        limit != NULL and BN_sub_word(limit, 1) and BN_cmp(value, limit) < 0
        and not BN_is_zero(value) and not BN_is_one(value)
    )
    BN_free(limit)
    return good


cdef int shared_secret(int group, int width, EVP_PKEY* own, EVP_PKEY* peer, unsigned char* out) noexcept nogil:
    cdef EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL)
    cdef size_t length = width
    cdef int result = -1
    if (
        ctx != NULL and EVP_PKEY_derive_init(ctx) > 0
        # The secret keeps its leading zeros (RFC 7296 section 2.14).
        and EVP_PKEY_CTX_set_dh_pad(ctx, 1) > 0
        # The range is checked already, and with a safe prime nothing is left to check.
        and EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) > 0
        and EVP_PKEY_derive(ctx, out, &length) > 0 and length == <size_t>width
    ):
        result = 0
    EVP_PKEY_CTX_free(ctx)
    return result


cdef int agree_pair(
    int group, int width, const unsigned char* private, int private_len, const unsigned char* public,
    unsigned char* out,
) noexcept nogil:
    """0, -1 when OpenSSL fails, -2 when the peer's value is out of range."""
    cdef BIGNUM* x = BN_secure_new()
    cdef BIGNUM* y = BN_bin2bn(public, width, NULL)
    cdef EVP_PKEY* own = NULL
    cdef EVP_PKEY* peer = NULL
    cdef int result = -1
    if x != NULL and y != NULL and BN_bin2bn(private, private_len, x) != NULL:
        if not in_range(group, y):
            result = -2
        else:
            own = key_from(group, EVP_PKEY_KEYPAIR, OSSL_PKEY_PARAM_PRIV_KEY, x)
            peer = key_from(group, EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, y)
            if own != NULL and peer != NULL:
                result = shared_secret(group, width, own, peer, out)
    EVP_PKEY_free(peer)
    EVP_PKEY_free(own)
    BN_free(y)
    BN_clear_free(x)
    ERR_clear_error()
    return result


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
            result = generate_pair(group, size, private, public)
        if result:
            raise RuntimeError(f"OpenSSL could not make a key of MODP group {group_id}")
        return PyBytes_FromStringAndSize(<char*>private, size), PyBytes_FromStringAndSize(<char*>public, size)
    finally:
        OPENSSL_cleanse(private, sizeof(private))


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
            result = agree_pair(group, size, own, private_len, peer, secret)
        if result == -2:
            raise ValueError(f"the peer's value is not within MODP group {group_id}")
        if result:
            raise RuntimeError(f"OpenSSL could not agree in MODP group {group_id}")
        return PyBytes_FromStringAndSize(<char*>secret, size)
    finally:
        OPENSSL_cleanse(secret, sizeof(secret))
