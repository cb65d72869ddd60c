"""ESP suites by OpenSSL EVP.

Two shapes of state. `aead_t` serves GCM (RFC 4106), CCM (RFC 4309) and ChaCha20-Poly1305 (RFC 7634): its IV is the
64-bit sequence number, which one key never sees twice. `etm_t` serves CBC (RFC 3602), 3DES-CBC (RFC 2451) and CTR (RFC
3686) with an HMAC (RFC 2404, RFC 4868): encrypt, then authenticate. CBC's IV must be unpredictable, so it comes from a
keystream of its own, keyed at random for each state. Everything fails closed: any EVP error is a drop.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from rhp._fast.drops cimport DROP_ESP_BAD_ICV, DROP_ESP_CRYPTO_FAILED
from openssl cimport *
from rhp._fast.sa cimport *

cdef extern from "<endian.h>" nogil:
    uint32_t htobe32(uint32_t)
    uint64_t htobe64(uint64_t)

cdef enum:
    HEADER_LEN = 8
    IV_POOL_LEN = 512               # 32 AES blocks for one EVP call.

include "hmac.pxi"

ctypedef struct aead_t:
    EVP_CIPHER_CTX* cipher
    OSSL_PARAM tag[2]               # Prebuilt; only its data pointer changes.
    uint8_t nonce[16]               # Salt, then the IV.
    uint8_t aad[12]                 # SPI, then the 64-bit sequence number; with ESN only.
    size_t salt_len
    size_t icv_len
    bint esn
    bint ccm

ctypedef struct iv_source_t:
    EVP_CIPHER_CTX* keystream       # AES-256-CTR under a random key.
    size_t used
    uint8_t pool[IV_POOL_LEN]

ctypedef struct etm_t:
    EVP_CIPHER_CTX* cipher
    hmac_t hmac
    iv_source_t iv_source           # CBC outbound only.
    uint8_t counter_block[16]       # CTR: nonce, IV, 1 (RFC 3686 section 4).
    size_t iv_len
    size_t icv_len
    bint esn
    bint counter_mode

cdef uint8_t ZEROS[IV_POOL_LEN]
memset(ZEROS, 0, IV_POOL_LEN)


cdef const char* cipher_name(const esp_key_t* key) noexcept nogil:
    """OpenSSL's name of the cipher, by the length of the key without its salt."""
    cdef int bits = (key.encr_key_len - key.salt_len) * 8
    if key.encr_id == ENCR_3DES:
        return b"DES-EDE3-CBC"
    if key.encr_id == ENCR_CHACHA20_POLY1305:
        return b"ChaCha20-Poly1305"
    if key.encr_id == ENCR_AES_CBC:
        return b"AES-128-CBC" if bits == 128 else b"AES-192-CBC" if bits == 192 else b"AES-256-CBC"
    if key.encr_id == ENCR_AES_CTR:
        return b"AES-128-CTR" if bits == 128 else b"AES-192-CTR" if bits == 192 else b"AES-256-CTR"
    if ENCR_AES_CCM_8 <= key.encr_id <= ENCR_AES_CCM_16:
        return b"AES-128-CCM" if bits == 128 else b"AES-192-CCM" if bits == 192 else b"AES-256-CCM"
    return b"AES-128-GCM" if bits == 128 else b"AES-192-GCM" if bits == 192 else b"AES-256-GCM"


cdef EVP_CIPHER_CTX* keyed_cipher(
    const char* name, const uint8_t* key, const uint8_t* iv, bint inbound, const OSSL_PARAM* params,
) noexcept nogil:
    """A context with its key set. `params` go in first, because CCM builds its key schedule from them."""
    cdef EVP_CIPHER* cipher = EVP_CIPHER_fetch(NULL, name, NULL)
    cdef EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new()
    cdef bint ready = cipher != NULL and ctx != NULL
    if ready and inbound:
        ready = EVP_DecryptInit_ex2(ctx, cipher, NULL, NULL, params) and EVP_DecryptInit_ex2(ctx, NULL, key, iv, NULL)
    elif ready:
        ready = EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, params) and EVP_EncryptInit_ex2(ctx, NULL, key, iv, NULL)
    EVP_CIPHER_free(cipher)
    if not ready:
        EVP_CIPHER_CTX_free(ctx)
        ERR_clear_error()
        return NULL
    return ctx


cdef int failed(int reason) noexcept nogil:
    """The negative drop reason. Python's `ssl` may share this thread's error queue, so nothing is left in it."""
    ERR_clear_error()
    return -reason


# AEAD

cdef void aead_destroy(void* raw) noexcept nogil:
    cdef aead_t* state = <aead_t*>raw
    if state == NULL:
        return
    EVP_CIPHER_CTX_free(state.cipher)
    OPENSSL_cleanse(state, sizeof(aead_t))
    free(state)


cdef void* aead_create(const esp_key_t* key, bint inbound) noexcept nogil:
    cdef aead_t* state = <aead_t*>calloc(1, sizeof(aead_t))
    cdef OSSL_PARAM params[3]
    cdef size_t secret_len = key.encr_key_len - key.salt_len
    cdef size_t nonce_len = key.salt_len + key.iv_len
    cdef uint32_t spi = htobe32(key.spi)
    if state == NULL:
        return NULL
    state.salt_len = key.salt_len
    state.icv_len = key.icv_len
    state.esn = key.esn
    state.ccm = ENCR_AES_CCM_8 <= key.encr_id <= ENCR_AES_CCM_16
    memcpy(state.nonce, key.encr_key + secret_len, key.salt_len)
    memcpy(state.aad, &spi, 4)
    state.tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, key.icv_len)
    state.tag[1] = OSSL_PARAM_construct_end()
    params[0] = OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &nonce_len)
    params[1] = state.tag[0] if state.ccm else OSSL_PARAM_construct_end()
    params[2] = OSSL_PARAM_construct_end()
    state.cipher = keyed_cipher(cipher_name(key), key.encr_key, NULL, inbound, params)
    if state.cipher == NULL:
        aead_destroy(state)
        return NULL
    return state


cdef inline const uint8_t* aead_associated(aead_t* state, uint64_t seq, const uint8_t* packet) noexcept nogil:
    # Without ESN the associated data are the packet's own first 8 octets; with ESN the high half stands between SPI and
    # low half (RFC 4106 section 5, RFC 4309 section 5, RFC 7634 section 2.1).
    cdef uint64_t wire
    if not state.esn:
        return packet
    wire = htobe64(seq)
    memcpy(state.aad + 4, &wire, 8)
    return state.aad


cdef int aead_seal(void* raw, uint64_t seq, const uint8_t* plain, size_t length, uint8_t* packet) noexcept nogil:
    cdef aead_t* state = <aead_t*>raw
    cdef uint8_t* body = packet + HEADER_LEN + 8
    cdef uint64_t iv = htobe64(seq)
    cdef int n = 0
    cdef int size = <int>length
    memcpy(state.nonce + state.salt_len, &iv, 8)
    memcpy(packet + HEADER_LEN, &iv, 8)
    state.tag[0].data = body + length
    if (
        EVP_EncryptInit_ex2(state.cipher, NULL, NULL, state.nonce, NULL) <= 0
        # CCM wants the length before anything else.
        or (state.ccm and EVP_EncryptUpdate(state.cipher, NULL, &n, NULL, size) <= 0)
        or EVP_EncryptUpdate(
            state.cipher, NULL, &n, aead_associated(state, seq, packet), 12 if state.esn else 8) <= 0
        or EVP_EncryptUpdate(state.cipher, body, &n, plain, size) <= 0
        or n != size
        or EVP_EncryptFinal_ex(state.cipher, body + length, &n) <= 0
        or EVP_CIPHER_CTX_get_params(state.cipher, state.tag) <= 0
    ):
        return failed(DROP_ESP_CRYPTO_FAILED)
    return 0


cdef int aead_open(void* raw, uint64_t seq, const uint8_t* packet, size_t length, uint8_t* out) noexcept nogil:
    cdef aead_t* state = <aead_t*>raw
    cdef const uint8_t* body = packet + HEADER_LEN + 8
    cdef int n = 0
    cdef int size = <int>length
    memcpy(state.nonce + state.salt_len, packet + HEADER_LEN, 8)
    # The expected tag travels with the IV, in one call.
    state.tag[0].data = <void*>(body + length)
    if (
        EVP_DecryptInit_ex2(state.cipher, NULL, NULL, state.nonce, state.tag) <= 0
        or (state.ccm and EVP_DecryptUpdate(state.cipher, NULL, &n, NULL, size) <= 0)
        or EVP_DecryptUpdate(
            state.cipher, NULL, &n, aead_associated(state, seq, packet), 12 if state.esn else 8) <= 0
    ):
        return failed(DROP_ESP_CRYPTO_FAILED)
    # CCM compares the tag in the update, the others in the final call.
    if (
        EVP_DecryptUpdate(state.cipher, out, &n, body, size) <= 0
        or n != size
        or (not state.ccm and EVP_DecryptFinal_ex(state.cipher, out + length, &n) <= 0)
    ):
        memset(out, 0, length)
        return failed(DROP_ESP_BAD_ICV)
    return 0


# HMAC

cdef int hmac_init(hmac_t* hmac, const esp_key_t* key) noexcept nogil:
    """0, or -1; the caller destroys in both cases."""
    cdef size_t size = 20
    if key.integ_id == INTEG_HMAC_SHA2_256_128:
        size = 32
    elif key.integ_id == INTEG_HMAC_SHA2_384_192:
        size = 48
    elif key.integ_id == INTEG_HMAC_SHA2_512_256:
        size = 64
    return hmac_key(hmac, size, key.integ_key, key.integ_key_len)


cdef int hmac_packet(
    hmac_t* hmac, const uint8_t* packet, size_t length, bint esn, uint64_t seq, uint8_t* digest,
) noexcept nogil:
    """The whole digest of header, IV and ciphertext into `digest` (EVP_MAX_MD_SIZE octets). 0 or -reason."""
    cdef uint32_t high = htobe32(<uint32_t>(seq >> 32))
    if (
        not hmac_begin(hmac)
        or EVP_DigestUpdate(hmac.work, packet, length) <= 0
        # The high half is authenticated as if it stood behind the packet (RFC 4303 section 2.2.1).
        or (esn and EVP_DigestUpdate(hmac.work, &high, 4) <= 0)
        or not hmac_finish(hmac, digest)
    ):
        return failed(DROP_ESP_CRYPTO_FAILED)
    return 0


# Encrypt, then MAC

cdef void etm_destroy(void* raw) noexcept nogil:
    cdef etm_t* state = <etm_t*>raw
    if state == NULL:
        return
    EVP_CIPHER_CTX_free(state.cipher)
    EVP_CIPHER_CTX_free(state.iv_source.keystream)
    hmac_destroy(&state.hmac)
    OPENSSL_cleanse(state, sizeof(etm_t))
    free(state)


cdef int iv_source_init(iv_source_t* source) noexcept nogil:
    cdef uint8_t seed[48]
    if RAND_priv_bytes(seed, sizeof(seed)) <= 0:
        return -1
    source.keystream = keyed_cipher(b"AES-256-CTR", seed, seed + 32, False, NULL)
    source.used = IV_POOL_LEN
    OPENSSL_cleanse(seed, sizeof(seed))
    return 0 if source.keystream != NULL else -1


cdef int iv_source_take(iv_source_t* source, uint8_t* iv, size_t length) noexcept nogil:
    cdef int n = 0
    if source.used + length > IV_POOL_LEN:
        if EVP_EncryptUpdate(source.keystream, source.pool, &n, ZEROS, IV_POOL_LEN) <= 0 or n != IV_POOL_LEN:
            return -1
        source.used = 0
    memcpy(iv, source.pool + source.used, length)
    source.used += length
    return 0


cdef void* etm_create(const esp_key_t* key, bint inbound) noexcept nogil:
    cdef etm_t* state = <etm_t*>calloc(1, sizeof(etm_t))
    cdef OSSL_PARAM params[2]
    cdef unsigned int padding = 0
    if state == NULL:
        return NULL
    state.iv_len = key.iv_len
    state.icv_len = key.icv_len
    state.esn = key.esn
    state.counter_mode = key.encr_id == ENCR_AES_CTR
    memcpy(state.counter_block, key.encr_key + key.encr_key_len - key.salt_len, key.salt_len)
    state.counter_block[15] = 1
    # As a parameter, not by EVP_CIPHER_CTX_set_padding: that one is repeated by libcrypto with each new IV.
    params[0] = OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_PADDING, &padding)
    params[1] = OSSL_PARAM_construct_end()
    state.cipher = keyed_cipher(cipher_name(key), key.encr_key, NULL, inbound, params)
    if (
        state.cipher == NULL
        or hmac_init(&state.hmac, key)
        or (not inbound and not state.counter_mode and iv_source_init(&state.iv_source))
    ):
        ERR_clear_error()
        etm_destroy(state)
        return NULL
    return state


cdef int etm_seal(void* raw, uint64_t seq, const uint8_t* plain, size_t length, uint8_t* packet) noexcept nogil:
    cdef etm_t* state = <etm_t*>raw
    cdef uint8_t digest[EVP_MAX_MD_SIZE]
    cdef uint8_t* iv = packet + HEADER_LEN
    cdef uint8_t* body = iv + state.iv_len
    cdef const uint8_t* start = iv
    cdef uint64_t counter = htobe64(seq)
    cdef int n = 0
    cdef int reason
    if state.counter_mode:
        memcpy(iv, &counter, 8)
        memcpy(state.counter_block + 4, &counter, 8)
        start = state.counter_block
    elif iv_source_take(&state.iv_source, iv, state.iv_len):
        return failed(DROP_ESP_CRYPTO_FAILED)
    if (
        EVP_EncryptInit_ex2(state.cipher, NULL, NULL, start, NULL) <= 0
        or EVP_EncryptUpdate(state.cipher, body, &n, plain, <int>length) <= 0
        or n != <int>length
    ):
        return failed(DROP_ESP_CRYPTO_FAILED)
    reason = hmac_packet(&state.hmac, packet, HEADER_LEN + state.iv_len + length, state.esn, seq, digest)
    if reason == 0:
        memcpy(body + length, digest, state.icv_len)
    return reason


cdef int etm_open(void* raw, uint64_t seq, const uint8_t* packet, size_t length, uint8_t* out) noexcept nogil:
    cdef etm_t* state = <etm_t*>raw
    cdef uint8_t digest[EVP_MAX_MD_SIZE]
    cdef const uint8_t* iv = packet + HEADER_LEN
    cdef const uint8_t* body = iv + state.iv_len
    cdef int n = 0
    cdef int reason = hmac_packet(&state.hmac, packet, HEADER_LEN + state.iv_len + length, state.esn, seq, digest)
    if reason:
        return reason
    if CRYPTO_memcmp(digest, body + length, state.icv_len):
        return -DROP_ESP_BAD_ICV
    if state.counter_mode:
        memcpy(state.counter_block + 4, iv, 8)
        iv = state.counter_block
    if (
        EVP_DecryptInit_ex2(state.cipher, NULL, NULL, iv, NULL) <= 0
        or EVP_DecryptUpdate(state.cipher, out, &n, body, <int>length) <= 0
        or n != <int>length
    ):
        return failed(DROP_ESP_CRYPTO_FAILED)
    return 0


cdef esp_ops_t AEAD_OPS
AEAD_OPS.create = aead_create
AEAD_OPS.destroy = aead_destroy
AEAD_OPS.seal = aead_seal
AEAD_OPS.open = aead_open

cdef esp_ops_t ETM_OPS
ETM_OPS.create = etm_create
ETM_OPS.destroy = etm_destroy
ETM_OPS.seal = etm_seal
ETM_OPS.open = etm_open


cdef const esp_ops_t* evp_ops(const esp_key_t* key) noexcept nogil:
    return &AEAD_OPS if key.integ_id == INTEG_NONE else &ETM_OPS


include "modp.pxi"


def openssl_version() -> str:
    """The version text of the libcrypto that seals and opens."""
    return OpenSSL_version(OPENSSL_VERSION).decode("ascii")
