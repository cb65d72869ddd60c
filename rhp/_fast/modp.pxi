# MODP Diffie-Hellman (RFC 2409, RFC 3526) through EVP_PKEY "DH", as a part of `evp`.
#
# It is no module of its own because each module that links libcrypto statically carries the whole of it. `dh` calls it
# through `evp.pxd`, in plain octets. Every group is a safe prime with generator 2, so 1 < y < p - 1 is the whole check
# of a peer's value (RFC 6989 section 2.1). Values are big-endian octets of the group's width.


cdef BIGNUM* modp_prime(int group) noexcept nogil:
    if group == 2:
        return BN_get_rfc2409_prime_1024(NULL)
    if group == 5:
        return BN_get_rfc3526_prime_1536(NULL)
    if group == 14:
        return BN_get_rfc3526_prime_2048(NULL)
    if group == 15:
        return BN_get_rfc3526_prime_3072(NULL)
    return BN_get_rfc3526_prime_4096(NULL)


cdef EVP_PKEY* modp_key(int group, int selection, const char* name, const BIGNUM* value) noexcept nogil:
    """A key of the group with one part set (`name`, NULL for the bare parameters); NULL on failure."""
    cdef BIGNUM* p = modp_prime(group)
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


cdef int modp_part(const EVP_PKEY* key, const char* name, unsigned char* out, int width) noexcept nogil:
    cdef BIGNUM* number = NULL
    cdef int written = -1
    if EVP_PKEY_get_bn_param(key, name, &number) > 0:
        written = BN_bn2binpad(number, out, width)
    BN_clear_free(number)
    return 0 if written == width else -1


cdef int modp_generate(int group, int width, unsigned char* private, unsigned char* public) noexcept nogil:
    cdef EVP_PKEY* domain = modp_key(group, EVP_PKEY_KEY_PARAMETERS, NULL, NULL)
    cdef EVP_PKEY_CTX* ctx = NULL
    cdef EVP_PKEY* key = NULL
    cdef int result = -1
    if domain != NULL:
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, domain, NULL)
    if (
        ctx != NULL and EVP_PKEY_keygen_init(ctx) > 0 and EVP_PKEY_generate(ctx, &key) > 0
        and modp_part(key, OSSL_PKEY_PARAM_PRIV_KEY, private, width) == 0
        and modp_part(key, OSSL_PKEY_PARAM_PUB_KEY, public, width) == 0
    ):
        result = 0
    EVP_PKEY_free(key)
    EVP_PKEY_CTX_free(ctx)
    EVP_PKEY_free(domain)
    ERR_clear_error()
    return result


cdef bint modp_in_range(int group, const BIGNUM* value) noexcept nogil:
    """1 < y < p - 1."""
    cdef BIGNUM* limit = modp_prime(group)
    cdef bint good = (
        limit != NULL and BN_sub_word(limit, 1) and BN_cmp(value, limit) < 0
        and not BN_is_zero(value) and not BN_is_one(value)
    )
    BN_free(limit)
    return good


cdef int modp_secret(int group, int width, EVP_PKEY* own, EVP_PKEY* peer, unsigned char* out) noexcept nogil:
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


cdef int modp_agree(
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
        if not modp_in_range(group, y):
            result = -2
        else:
            own = modp_key(group, EVP_PKEY_KEYPAIR, OSSL_PKEY_PARAM_PRIV_KEY, x)
            peer = modp_key(group, EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, y)
            if own != NULL and peer != NULL:
                result = modp_secret(group, width, own, peer, out)
    EVP_PKEY_free(peer)
    EVP_PKEY_free(own)
    BN_free(y)
    BN_clear_free(x)
    ERR_clear_error()
    return result
