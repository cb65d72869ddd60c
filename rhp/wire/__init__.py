"""Bytes to frozen dataclasses and back: the IKEv2 message format (RFC 7296 section 3)."""
