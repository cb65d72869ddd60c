def openssl_version() -> str:
    """The version text of the libcrypto that seals and opens, for example "OpenSSL 3.0.19 27 Jan 2026"."""
