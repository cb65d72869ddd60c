"""Timed loops without the GIL: the same batch of packets through `rhp._fast.esp` and through bare EVP calls.

The bare calls are what a C program would write for this suite at best: contexts keyed once, per packet the IV, the
associated data, one update, the final call and the tag; for the HMAC suites pads hashed before, copied per packet. No
header, trailer, padding, sequence number, replay window or check of any result.
"""

from cpython.bytes cimport PyBytes_AsString
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openssl cimport *
from rhp._fast.esp cimport *
from rhp._fast.sa cimport *

from bench.micro.clock cimport now

cdef enum:
    BATCH = 64


cdef const char* cipher_of(const esp_key_t* key) noexcept nogil:
    cdef int secret = key.encr_key_len - key.salt_len
    if key.encr_id == ENCR_3DES:
        return b"DES-EDE3-CBC"
    if key.encr_id == ENCR_CHACHA20_POLY1305:
        return b"ChaCha20-Poly1305"
    if key.encr_id == ENCR_AES_CBC:
        return b"AES-128-CBC" if secret == 16 else b"AES-256-CBC"
    if key.encr_id == ENCR_AES_CTR:
        return b"AES-128-CTR" if secret == 16 else b"AES-256-CTR"
    if key.encr_id <= ENCR_AES_CCM_16:
        return b"AES-128-CCM" if secret == 16 else b"AES-256-CCM"
    return b"AES-128-GCM" if secret == 16 else b"AES-256-GCM"


cdef const char* digest_of(const esp_key_t* key) noexcept nogil:
    if key.integ_id == INTEG_HMAC_SHA1_96:
        return b"SHA1"
    if key.integ_id == INTEG_HMAC_SHA2_256_128:
        return b"SHA256"
    return b"SHA384" if key.integ_id == INTEG_HMAC_SHA2_384_192 else b"SHA512"


cdef EVP_MD_CTX* pad_of(const esp_key_t* key, uint8_t mask) noexcept nogil:
    cdef EVP_MD_CTX* ctx = EVP_MD_CTX_new()
    cdef EVP_MD* digest = EVP_MD_fetch(NULL, digest_of(key), NULL)
    cdef uint8_t pad[128]
    cdef int index
    memset(pad, mask, sizeof(pad))
    for index in range(key.integ_key_len):
        pad[index] ^= key.integ_key[index]
    EVP_DigestInit_ex2(ctx, digest, NULL)
    EVP_DigestUpdate(ctx, pad, EVP_MD_get_block_size(digest))
    EVP_MD_free(digest)
    return ctx


cdef class Lane:
    cdef esp_key_t key
    cdef esp_ctx_t* sealer
    cdef esp_ctx_t* opener
    cdef EVP_CIPHER_CTX* cipher[2]
    cdef EVP_MD_CTX* inner
    cdef EVP_MD_CTX* outer
    cdef EVP_MD_CTX* work
    cdef OSSL_PARAM tag[2]
    cdef uint8_t* payload
    cdef uint8_t* packets
    cdef uint8_t* opened
    cdef uint8_t nonce[16]
    cdef size_t size
    cdef size_t body
    cdef size_t stride
    cdef uint64_t seq
    cdef bint ccm

    def __cinit__(self, encr_id, bytes encr_key, integ_id, bytes integ_key, size):
        if esp_key_fill(
            &self.key, encr_id, <const uint8_t*>PyBytes_AsString(encr_key), len(encr_key),
            integ_id, <const uint8_t*>PyBytes_AsString(integ_key), len(integ_key), 0x1234, False, 1024,
        ):
            raise ValueError("this suite is not offered")
        self.sealer = esp_ctx_new(&self.key, False)
        self.opener = esp_ctx_new(&self.key, True)
        self.size = size
        self.stride = esp_sealed_len(self.sealer, self.size)
        self.body = self.stride - ESP_HEADER_LEN - self.key.iv_len - self.key.icv_len
        self.payload = <uint8_t*>calloc(BATCH, self.size + ESP_TAIL_ROOM)
        self.packets = <uint8_t*>calloc(BATCH, self.stride)
        self.opened = <uint8_t*>calloc(BATCH, self.stride)
        if self.sealer == NULL or self.opener == NULL or not self.payload or not self.packets or not self.opened:
            raise MemoryError
        self.ccm = ENCR_AES_CCM_8 <= self.key.encr_id <= ENCR_AES_CCM_16
        self.prepare_raw(0)
        self.prepare_raw(1)

    cdef prepare_raw(self, int inbound):
        cdef EVP_CIPHER* cipher = EVP_CIPHER_fetch(NULL, cipher_of(&self.key), NULL)
        cdef size_t nonce_len = self.key.salt_len + self.key.iv_len
        cdef unsigned int padding = 0
        cdef OSSL_PARAM params[3]
        cdef EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new()
        self.tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, self.key.icv_len)
        self.tag[1] = OSSL_PARAM_construct_end()
        params[0] = OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &nonce_len)
        params[1] = self.tag[0] if self.ccm else OSSL_PARAM_construct_end()
        params[2] = OSSL_PARAM_construct_end()
        if self.key.integ_id:
            params[0] = OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_PADDING, &padding)
        if inbound:
            EVP_DecryptInit_ex2(ctx, cipher, NULL, NULL, params)
            EVP_DecryptInit_ex2(ctx, NULL, self.key.encr_key, NULL, NULL)
        else:
            EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, params)
            EVP_EncryptInit_ex2(ctx, NULL, self.key.encr_key, NULL, NULL)
        EVP_CIPHER_free(cipher)
        self.cipher[inbound] = ctx
        if self.key.integ_id and not inbound:
            self.inner, self.outer, self.work = pad_of(&self.key, 0x36), pad_of(&self.key, 0x5C), EVP_MD_CTX_new()

    def __dealloc__(self):
        esp_ctx_free(self.sealer)
        esp_ctx_free(self.opener)
        EVP_CIPHER_CTX_free(self.cipher[0])
        EVP_CIPHER_CTX_free(self.cipher[1])
        EVP_MD_CTX_free(self.inner)
        EVP_MD_CTX_free(self.outer)
        EVP_MD_CTX_free(self.work)
        free(self.payload)
        free(self.packets)
        free(self.opened)

    cdef int seal_batch(self) noexcept nogil:
        cdef int index
        cdef int bad = 0
        for index in range(BATCH):
            self.seq += 1
            bad |= esp_seal(
                self.sealer, self.seq, 4, self.payload + index * (self.size + ESP_TAIL_ROOM), self.size,
                self.packets + index * self.stride,
            ) < 0
        return bad

    cdef int open_batch(self) noexcept nogil:
        cdef int index
        cdef int bad = 0
        cdef uint8_t next_header
        for index in range(BATCH):
            bad |= esp_open(
                self.opener, self.packets + index * self.stride, self.stride, self.opened + index * self.stride,
                &next_header,
            ) < 0
        return bad

    cdef void raw_mac(self, const uint8_t* packet) noexcept nogil:
        cdef uint8_t digest[EVP_MAX_MD_SIZE]
        cdef unsigned int length = 0
        EVP_MD_CTX_copy_ex(self.work, self.inner)
        EVP_DigestUpdate(self.work, packet, self.stride - self.key.icv_len)
        EVP_DigestFinal_ex(self.work, digest, &length)
        EVP_MD_CTX_copy_ex(self.work, self.outer)
        EVP_DigestUpdate(self.work, digest, length)
        EVP_DigestFinal_ex(self.work, digest, &length)

    cdef void raw_seal_batch(self) noexcept nogil:
        cdef EVP_CIPHER_CTX* ctx = self.cipher[0]
        cdef uint8_t* packet
        cdef uint8_t* body
        cdef uint8_t* plain
        cdef int n, index
        for index in range(BATCH):
            packet = self.packets + index * self.stride
            plain = self.payload + index * (self.size + ESP_TAIL_ROOM)
            body = packet + ESP_HEADER_LEN + self.key.iv_len
            self.seq += 1
            memcpy(self.nonce + self.key.salt_len, &self.seq, 8)
            EVP_EncryptInit_ex2(ctx, NULL, NULL, self.nonce, NULL)
            if self.key.integ_id:
                EVP_EncryptUpdate(ctx, body, &n, plain, <int>self.body)
                self.raw_mac(packet)
                continue
            if self.ccm:
                EVP_EncryptUpdate(ctx, NULL, &n, NULL, <int>self.body)
            EVP_EncryptUpdate(ctx, NULL, &n, packet, ESP_HEADER_LEN)
            EVP_EncryptUpdate(ctx, body, &n, plain, <int>self.body)
            EVP_EncryptFinal_ex(ctx, body + self.body, &n)
            self.tag[0].data = body + self.body
            EVP_CIPHER_CTX_get_params(ctx, self.tag)

    cdef int raw_open_batch(self) noexcept nogil:
        cdef EVP_CIPHER_CTX* ctx = self.cipher[1]
        cdef uint8_t* packet
        cdef uint8_t* body
        cdef uint8_t* opened
        cdef int n, index
        cdef int bad = 0
        for index in range(BATCH):
            packet = self.packets + index * self.stride
            opened = self.opened + index * self.stride
            body = packet + ESP_HEADER_LEN + self.key.iv_len
            if self.key.integ_id:
                self.raw_mac(packet)
                EVP_DecryptInit_ex2(ctx, NULL, NULL, packet + ESP_HEADER_LEN, NULL)
                EVP_DecryptUpdate(ctx, opened, &n, body, <int>self.body)
                continue
            memcpy(self.nonce + self.key.salt_len, packet + ESP_HEADER_LEN, 8)
            self.tag[0].data = body + self.body
            EVP_DecryptInit_ex2(ctx, NULL, NULL, self.nonce, self.tag)
            if self.ccm:
                EVP_DecryptUpdate(ctx, NULL, &n, NULL, <int>self.body)
            EVP_DecryptUpdate(ctx, NULL, &n, packet, ESP_HEADER_LEN)
            bad |= EVP_DecryptUpdate(ctx, opened, &n, body, <int>self.body) <= 0
            if not self.ccm:
                bad |= EVP_DecryptFinal_ex(ctx, opened + self.body, &n) <= 0
        return bad

    cdef double timed(self, int batches, bint raw, bint inbound) except -1:
        cdef int _
        cdef double begin
        cdef double total = 0
        cdef int bad = 0
        if inbound and raw:
            # The bare loop authenticates too, so its salt must be the sealer's.
            memcpy(self.nonce, self.key.encr_key + self.key.encr_key_len - self.key.salt_len, self.key.salt_len)
        with nogil:
            for _ in range(batches):
                if inbound:
                    bad |= self.seal_batch()
                begin = now()
                if raw and inbound:
                    bad |= self.raw_open_batch()
                elif raw:
                    self.raw_seal_batch()
                elif inbound:
                    bad |= self.open_batch()
                else:
                    bad |= self.seal_batch()
                total += now() - begin
        if bad:
            raise RuntimeError("a packet failed while it was timed")
        return total / (<double>batches * BATCH)

    def seal(self, int batches):
        return self.timed(batches, False, False)

    def open(self, int batches):
        return self.timed(batches, False, True)

    def raw_seal(self, int batches):
        return self.timed(batches, True, False)

    def raw_open(self, int batches):
        return self.timed(batches, True, True)
