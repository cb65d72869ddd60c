"""Suites, key exchange, PRF, signatures and key material of IKEv2 and ESP."""
