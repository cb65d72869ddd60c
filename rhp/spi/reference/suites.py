"""ESP's algorithms over `cryptography`: what is between the ESP header and the end of the packet (RFC 4303 section 2).

    SPI, sequence number | IV | payload, padding, pad length, next header | ICV

An AEAD takes SPI and sequence number as associated data, with ESN the whole 64 bits of it (RFC 4106 section 5). Else
the ICV is an HMAC over header, IV and ciphertext, and with ESN over the upper half behind them (RFC 4303 section
2.2.1).
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

HEADER = 8
_GCM = {18: 8, 19: 12, 20: 16}
_CCM = {14: 8, 15: 12, 16: 16}
_CHACHA, _CBC, _CTR, _3DES = 28, 12, 13, 3
_AES_KEYS = (16, 24, 32)
_HMACS = {2: ("sha1", 20, 12), 12: ("sha256", 32, 16), 13: ("sha384", 48, 24), 14: ("sha512", 64, 32)}
_FULL_TAG = 16


class BadIcv(Exception):
    """The packet is not what was sealed."""


class Suite:
    """One direction's keys. `align` is what payload and trailer together have to be a multiple of, in octets.

    Numbers are IANA's; `encryption_key` ends with the salt. ValueError for an unknown suite or a key that does not fit.
    """

    def __init__(self, encryption: int, encryption_key: bytes, integrity: int, integrity_key: bytes) -> None:
        self.align = {_CBC: 16, _3DES: 8}.get(encryption, 4)
        self.iv_bytes = 16 if encryption == _CBC else 8
        self.counted = encryption not in (_CBC, _3DES)
        salt = 3 if encryption in _CCM else 4 if self.counted else 0
        key, self._salt = encryption_key[: len(encryption_key) - salt], encryption_key[len(encryption_key) - salt :]
        self._aead: _Aead | None = None
        self._cipher: _Apart | None = None
        if encryption in (*_GCM, *_CCM, _CHACHA):
            self.icv_bytes = {**_GCM, **_CCM, _CHACHA: 16}[encryption]
            self._aead = _Aead(encryption, key, self.icv_bytes)
            if integrity or integrity_key:
                raise ValueError("an AEAD takes no integrity algorithm beside it")
            return
        if integrity not in _HMACS or len(integrity_key) != _HMACS[integrity][1]:
            raise ValueError(f"integrity algorithm {integrity} with a key of {len(integrity_key)} octets is unknown")
        self._digest, _, self.icv_bytes = _HMACS[integrity]
        self._mac_key = integrity_key
        self._cipher = _Apart(encryption, key)

    def seal(self, header: bytes, sequence: int, esn: bool, plain: bytes) -> bytes:
        """The whole packet behind and with `header`; `plain` ends with its trailer."""
        iv = sequence.to_bytes(8) if self.counted else os.urandom(self.iv_bytes)
        if self._aead is not None:
            return header + iv + self._aead.seal(self._salt + iv, plain, _associated(header, sequence, esn))
        packet = header + iv + self._apart.run(self._salt + iv, plain, encrypt=True)
        return packet + self._icv(packet, sequence, esn)

    def open(self, packet: bytes, sequence: int, esn: bool) -> bytes:
        """Payload and trailer; raises `BadIcv`. `packet` is longer than header, IV and ICV."""
        header, iv = packet[:HEADER], packet[HEADER : HEADER + self.iv_bytes]
        if self._aead is not None:
            sealed = packet[HEADER + self.iv_bytes :]
            return self._aead.open(self._salt + iv, sealed, _associated(header, sequence, esn))
        cut = len(packet) - self.icv_bytes
        if not hmac.compare_digest(self._icv(packet[:cut], sequence, esn), packet[cut:]):
            raise BadIcv
        text = packet[HEADER + self.iv_bytes : cut]
        if len(text) % self._apart.block:
            raise BadIcv
        return self._apart.run(self._salt + iv, text, encrypt=False)

    @property
    def _apart(self) -> _Apart:
        if self._cipher is None:
            raise RuntimeError("an AEAD has no cipher apart from it")
        return self._cipher

    def _icv(self, packet: bytes, sequence: int, esn: bool) -> bytes:
        high = struct.pack("!I", sequence >> 32) if esn else b""
        return hmac.digest(self._mac_key, packet + high, self._digest)[: self.icv_bytes]


class _Aead:
    def __init__(self, encryption: int, key: bytes, tag: int) -> None:
        if len(key) not in ((32,) if encryption == _CHACHA else _AES_KEYS):
            raise ValueError(f"encryption algorithm {encryption} does not take a key of {len(key)} octets")
        self._tag = tag
        self._key = key
        self._cut = encryption in _GCM and tag < _FULL_TAG
        if encryption in _GCM:
            self._made: AESGCM | AESCCM | ChaCha20Poly1305 = AESGCM(key)
        elif encryption in _CCM:
            self._made = AESCCM(key, tag_length=tag)
        else:
            self._made = ChaCha20Poly1305(key)

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        # A short GCM tag is the head of the full one; the others cut by themselves.
        return self._made.encrypt(nonce, plain, associated)[: len(plain) + self._tag]

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        try:
            if not self._cut:
                return self._made.decrypt(nonce, sealed, associated)
            mode = modes.GCM(nonce, sealed[-self._tag :], min_tag_length=self._tag)
            decryptor = Cipher(algorithms.AES(self._key), mode).decryptor()
            decryptor.authenticate_additional_data(associated)
            return decryptor.update(sealed[: -self._tag]) + decryptor.finalize()
        except InvalidTag:
            raise BadIcv from None


class _Apart:
    """A cipher that does not authenticate. `block` is what a ciphertext has to be a multiple of."""

    def __init__(self, encryption: int, key: bytes) -> None:
        lengths = {_CBC: _AES_KEYS, _CTR: _AES_KEYS, _3DES: (24,)}.get(encryption, ())
        if len(key) not in lengths:
            raise ValueError(f"encryption algorithm {encryption} with a key of {len(key)} octets is unknown")
        self.block = {_CBC: 16, _3DES: 8}.get(encryption, 1)
        self._make: Callable[[bytes], Cipher[modes.CBC] | Cipher[modes.CTR]]
        if encryption == _CTR:
            # Nonce, IV and a block counter from 1 (RFC 3686 section 4).
            self._make = lambda start: Cipher(algorithms.AES(key), modes.CTR(start + b"\0\0\0\1"))
        elif encryption == _CBC:
            self._make = lambda start: Cipher(algorithms.AES(key), modes.CBC(start))
        else:
            self._make = lambda start: Cipher(TripleDES(key), modes.CBC(start))

    def run(self, start: bytes, text: bytes, *, encrypt: bool) -> bytes:
        cipher = self._make(start)
        context: CipherContext = cipher.encryptor() if encrypt else cipher.decryptor()
        return context.update(text) + context.finalize()


def _associated(header: bytes, sequence: int, esn: bool) -> bytes:
    return header[:4] + sequence.to_bytes(8) if esn else header
