"""The part of libcrypto (OpenSSL 3.0 and later) that the fast path uses. Declarations only."""

cdef extern from "openssl/types.h" nogil:
    ctypedef struct OSSL_LIB_CTX
    ctypedef struct OSSL_PARAM:
        const char* key
        unsigned int data_type
        void* data
        size_t data_size
        size_t return_size
    ctypedef struct BIGNUM

cdef extern from "openssl/params.h" nogil:
    OSSL_PARAM OSSL_PARAM_construct_octet_string(const char* key, void* buf, size_t bsize)
    OSSL_PARAM OSSL_PARAM_construct_size_t(const char* key, size_t* buf)
    OSSL_PARAM OSSL_PARAM_construct_uint(const char* key, unsigned int* buf)
    OSSL_PARAM OSSL_PARAM_construct_end()
    void OSSL_PARAM_free(OSSL_PARAM* params)

cdef extern from "openssl/core_names.h" nogil:
    const char* OSSL_CIPHER_PARAM_AEAD_TAG
    const char* OSSL_CIPHER_PARAM_AEAD_IVLEN
    const char* OSSL_CIPHER_PARAM_PADDING
    const char* OSSL_PKEY_PARAM_FFC_P
    const char* OSSL_PKEY_PARAM_FFC_G
    const char* OSSL_PKEY_PARAM_PRIV_KEY
    const char* OSSL_PKEY_PARAM_PUB_KEY

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER
    ctypedef struct EVP_CIPHER_CTX
    ctypedef struct EVP_MD
    ctypedef struct EVP_MD_CTX
    ctypedef struct EVP_PKEY
    ctypedef struct EVP_PKEY_CTX
    enum:
        EVP_MAX_MD_SIZE
        EVP_PKEY_KEY_PARAMETERS
        EVP_PKEY_KEYPAIR
        EVP_PKEY_PUBLIC_KEY

    EVP_CIPHER* EVP_CIPHER_fetch(OSSL_LIB_CTX* library, const char* algorithm, const char* properties)
    void EVP_CIPHER_free(EVP_CIPHER* cipher)
    EVP_CIPHER_CTX* EVP_CIPHER_CTX_new()
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* ctx)
    int EVP_CIPHER_CTX_get_params(EVP_CIPHER_CTX* ctx, OSSL_PARAM* params)
    int EVP_EncryptInit_ex2(
        EVP_CIPHER_CTX* ctx, const EVP_CIPHER* cipher, const unsigned char* key, const unsigned char* iv,
        const OSSL_PARAM* params,
    )
    int EVP_EncryptUpdate(EVP_CIPHER_CTX* ctx, unsigned char* out, int* outl, const unsigned char* data, int length)
    int EVP_EncryptFinal_ex(EVP_CIPHER_CTX* ctx, unsigned char* out, int* outl)
    int EVP_DecryptInit_ex2(
        EVP_CIPHER_CTX* ctx, const EVP_CIPHER* cipher, const unsigned char* key, const unsigned char* iv,
        const OSSL_PARAM* params,
    )
    int EVP_DecryptUpdate(EVP_CIPHER_CTX* ctx, unsigned char* out, int* outl, const unsigned char* data, int length)
    int EVP_DecryptFinal_ex(EVP_CIPHER_CTX* ctx, unsigned char* out, int* outl)

    EVP_MD* EVP_MD_fetch(OSSL_LIB_CTX* library, const char* algorithm, const char* properties)
    void EVP_MD_free(EVP_MD* md)
    int EVP_MD_get_block_size(const EVP_MD* md)
    EVP_MD_CTX* EVP_MD_CTX_new()
    void EVP_MD_CTX_free(EVP_MD_CTX* ctx)
    int EVP_MD_CTX_copy_ex(EVP_MD_CTX* out, const EVP_MD_CTX* source)
    int EVP_DigestInit_ex2(EVP_MD_CTX* ctx, const EVP_MD* md, const OSSL_PARAM* params)
    int EVP_DigestUpdate(EVP_MD_CTX* ctx, const void* data, size_t length)
    int EVP_DigestFinal_ex(EVP_MD_CTX* ctx, unsigned char* out, unsigned int* size)

    EVP_PKEY_CTX* EVP_PKEY_CTX_new_from_name(OSSL_LIB_CTX* library, const char* name, const char* properties)
    EVP_PKEY_CTX* EVP_PKEY_CTX_new_from_pkey(OSSL_LIB_CTX* library, EVP_PKEY* key, const char* properties)
    void EVP_PKEY_CTX_free(EVP_PKEY_CTX* ctx)
    void EVP_PKEY_free(EVP_PKEY* key)
    int EVP_PKEY_fromdata_init(EVP_PKEY_CTX* ctx)
    int EVP_PKEY_fromdata(EVP_PKEY_CTX* ctx, EVP_PKEY** key, int selection, OSSL_PARAM* params)
    int EVP_PKEY_keygen_init(EVP_PKEY_CTX* ctx)
    int EVP_PKEY_generate(EVP_PKEY_CTX* ctx, EVP_PKEY** key)
    int EVP_PKEY_derive_init(EVP_PKEY_CTX* ctx)
    int EVP_PKEY_derive_set_peer_ex(EVP_PKEY_CTX* ctx, EVP_PKEY* peer, int validate)
    int EVP_PKEY_derive(EVP_PKEY_CTX* ctx, unsigned char* key, size_t* length)
    int EVP_PKEY_get_bn_param(const EVP_PKEY* key, const char* name, BIGNUM** number)

cdef extern from "openssl/dh.h" nogil:
    int EVP_PKEY_CTX_set_dh_pad(EVP_PKEY_CTX* ctx, int pad)

cdef extern from "openssl/param_build.h" nogil:
    ctypedef struct OSSL_PARAM_BLD
    OSSL_PARAM_BLD* OSSL_PARAM_BLD_new()
    void OSSL_PARAM_BLD_free(OSSL_PARAM_BLD* builder)
    int OSSL_PARAM_BLD_push_BN(OSSL_PARAM_BLD* builder, const char* key, const BIGNUM* number)
    OSSL_PARAM* OSSL_PARAM_BLD_to_param(OSSL_PARAM_BLD* builder)

cdef extern from "openssl/bn.h" nogil:
    BIGNUM* BN_get_rfc2409_prime_1024(BIGNUM* number)
    BIGNUM* BN_get_rfc3526_prime_1536(BIGNUM* number)
    BIGNUM* BN_get_rfc3526_prime_2048(BIGNUM* number)
    BIGNUM* BN_get_rfc3526_prime_3072(BIGNUM* number)
    BIGNUM* BN_get_rfc3526_prime_4096(BIGNUM* number)
    BIGNUM* BN_new()
    BIGNUM* BN_secure_new()
    void BN_free(BIGNUM* number)
    void BN_clear_free(BIGNUM* number)
    BIGNUM* BN_bin2bn(const unsigned char* data, int length, BIGNUM* number)
    int BN_bn2binpad(const BIGNUM* number, unsigned char* out, int length)
    int BN_set_word(BIGNUM* number, unsigned long value)
    int BN_sub_word(BIGNUM* number, unsigned long value)
    int BN_is_zero(const BIGNUM* number)
    int BN_is_one(const BIGNUM* number)
    int BN_cmp(const BIGNUM* a, const BIGNUM* b)

cdef extern from "openssl/rand.h" nogil:
    int RAND_priv_bytes(unsigned char* buffer, int length)

cdef extern from "openssl/crypto.h" nogil:
    int OPENSSL_VERSION
    const char* OpenSSL_version(int kind)
    int CRYPTO_memcmp(const void* a, const void* b, size_t length)
    void OPENSSL_cleanse(void* data, size_t length)

cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()
