# HMAC (RFC 2104) over EVP_MD, as a part of `evp`: for ESP's packets, and for IKE's pseudo-random functions.
#
# `prf` calls it for the latter, through `evp.pxd` and in plain octets. A hash goes by the octets of its digest and is
# looked up once, when this module is imported: OpenSSL takes longer for that than for a short message.

cdef enum:
    PAD_MAX = 128                   # The block of SHA-384 and SHA-512.

ctypedef struct hmac_t:
    EVP_MD_CTX* inner               # The inner pad, already hashed.
    EVP_MD_CTX* outer
    EVP_MD_CTX* work

cdef EVP_MD* SHA1 = EVP_MD_fetch(NULL, b"SHA1", NULL)
cdef EVP_MD* SHA256 = EVP_MD_fetch(NULL, b"SHA256", NULL)
cdef EVP_MD* SHA384 = EVP_MD_fetch(NULL, b"SHA384", NULL)
cdef EVP_MD* SHA512 = EVP_MD_fetch(NULL, b"SHA512", NULL)
# What this OpenSSL does not offer is refused when it is asked for.
ERR_clear_error()


cdef const EVP_MD* hmac_hash(size_t size) noexcept nogil:
    if size == 20:
        return SHA1
    if size == 32:
        return SHA256
    if size == 48:
        return SHA384
    return SHA512 if size == 64 else NULL


cdef void hmac_destroy(hmac_t* hmac) noexcept nogil:
    # OpenSSL overwrites the state of a hash as it frees it.
    EVP_MD_CTX_free(hmac.inner)
    EVP_MD_CTX_free(hmac.outer)
    EVP_MD_CTX_free(hmac.work)


cdef bint hmac_pad(
    EVP_MD_CTX* ctx, const EVP_MD* digest, const uint8_t* key, size_t key_len, uint8_t mask,
) noexcept nogil:
    """Begin a digest with the key, padded to a block and masked."""
    cdef uint8_t pad[PAD_MAX]
    cdef unsigned int size = 0
    cdef size_t block = EVP_MD_get_block_size(digest)
    cdef size_t index
    cdef bint ready = ctx != NULL and block <= PAD_MAX
    if ready and key_len > block:
        # The hash of a longer key stands for it; a digest is never longer than a block.
        ready = (
            EVP_DigestInit_ex2(ctx, digest, NULL) > 0
            and EVP_DigestUpdate(ctx, key, key_len) > 0
            and EVP_DigestFinal_ex(ctx, pad, &size) > 0
        )
    elif ready:
        memcpy(pad, key, key_len)
        size = <unsigned int>key_len
    if ready:
        memset(pad + size, 0, block - size)
        for index in range(block):
            pad[index] ^= mask
        ready = EVP_DigestInit_ex2(ctx, digest, NULL) > 0 and EVP_DigestUpdate(ctx, pad, block) > 0
    OPENSSL_cleanse(pad, sizeof(pad))
    return ready


cdef int hmac_key(hmac_t* hmac, size_t size, const uint8_t* key, size_t key_len) noexcept nogil:
    """Key a state of zeros with a hash; 0, or -1. The caller destroys in both cases."""
    cdef const EVP_MD* digest = hmac_hash(size)
    if digest == NULL:
        return -1
    hmac.inner = EVP_MD_CTX_new()
    hmac.outer = EVP_MD_CTX_new()
    hmac.work = EVP_MD_CTX_new()
    if hmac.work != NULL and hmac_pad(hmac.inner, digest, key, key_len, 0x36):
        return 0 if hmac_pad(hmac.outer, digest, key, key_len, 0x5C) else -1
    return -1


cdef inline bint hmac_begin(hmac_t* hmac) noexcept nogil:
    """Have `work` stand behind the inner pad."""
    return EVP_MD_CTX_copy_ex(hmac.work, hmac.inner) > 0


cdef inline bint hmac_finish(hmac_t* hmac, uint8_t* digest) noexcept nogil:
    """The HMAC of what `work` was given goes to `digest`, of EVP_MAX_MD_SIZE octets."""
    cdef unsigned int size = 0
    return (
        EVP_DigestFinal_ex(hmac.work, digest, &size) > 0
        and EVP_MD_CTX_copy_ex(hmac.work, hmac.outer) > 0
        and EVP_DigestUpdate(hmac.work, digest, size) > 0
        and EVP_DigestFinal_ex(hmac.work, digest, &size) > 0
    )


cdef int hmac_once(
    size_t size, const uint8_t* key, size_t key_len, const uint8_t* data, size_t data_len, uint8_t* out,
) noexcept nogil:
    cdef const EVP_MD* digest = hmac_hash(size)
    cdef EVP_MD_CTX* ctx = NULL
    cdef unsigned int written = 0
    cdef bint ready
    if digest == NULL:
        return -1
    # Each pad is used once, so one context serves both.
    ctx = EVP_MD_CTX_new()
    ready = (
        hmac_pad(ctx, digest, key, key_len, 0x36)
        and EVP_DigestUpdate(ctx, data, data_len) > 0
        and EVP_DigestFinal_ex(ctx, out, &written) > 0
        and hmac_pad(ctx, digest, key, key_len, 0x5C)
        and EVP_DigestUpdate(ctx, out, written) > 0
        and EVP_DigestFinal_ex(ctx, out, &written) > 0
    )
    EVP_MD_CTX_free(ctx)
    if not ready:
        ERR_clear_error()
        return -1
    return 0


cdef int hmac_chain(
    size_t size, const uint8_t* key, size_t key_len, const uint8_t* seed, size_t seed_len, uint8_t* out, size_t length,
) noexcept nogil:
    cdef hmac_t hmac
    cdef uint8_t block[EVP_MAX_MD_SIZE]
    cdef size_t known = 0
    cdef size_t share
    cdef uint8_t counter = 0
    cdef bint ready
    memset(&hmac, 0, sizeof(hmac))
    ready = length <= 255 * size and hmac_key(&hmac, size, key, key_len) == 0
    while ready and length:
        counter += 1
        ready = (
            hmac_begin(&hmac)
            # Nothing stands before the seed of the first block.
            and EVP_DigestUpdate(hmac.work, block, known) > 0
            and EVP_DigestUpdate(hmac.work, seed, seed_len) > 0
            and EVP_DigestUpdate(hmac.work, &counter, 1) > 0
            and hmac_finish(&hmac, block)
        )
        if ready:
            known = size
            share = size if size < length else length
            memcpy(out, block, share)
            out += share
            length -= share
    hmac_destroy(&hmac)
    OPENSSL_cleanse(block, sizeof(block))
    if not ready:
        ERR_clear_error()
        return -1
    return 0
