"""Every ESP suite, keys for them, and a second implementation of ESP to compare with.

`reference_seal` is written from the RFCs over `cryptography` and `hmac`; it shares no code and no library with `_fast`.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from rhp._fast.esp import EspOpener, EspSealer

SPI = 0xC0FFEE01
HMACS = {2: ("sha1", 20, 12), 12: ("sha256", 32, 16), 13: ("sha384", 48, 24), 14: ("sha512", 64, 32)}
CBC_3DES, CBC, CTR, CHACHA = 3, 12, 13, 28
CCM, GCM = {14: 8, 15: 12, 16: 16}, {18: 8, 19: 12, 20: 16}


@dataclass(frozen=True)
class Suite:
    """One suite by IANA numbers; lengths in octets, `encr_key` with its salt."""

    name: str
    encr_id: int
    encr_key: int
    salt: int
    iv: int
    block: int
    icv: int
    integ_id: int = 0
    integ_key: int = 0

    @property
    def keys(self):
        """Keys that differ between suites and in every octet."""
        material = hashlib.shake_256(self.name.encode()).digest(self.encr_key + self.integ_key)
        return material[: self.encr_key], material[self.encr_key :]

    def sealer(self, *, spi=SPI, esn=False):
        encr, integ = self.keys
        return EspSealer(self.encr_id, encr, self.integ_id, integ, spi, esn)

    def opener(self, *, spi=SPI, esn=False, window=64, top=0):
        encr, integ = self.keys
        return EspOpener(self.encr_id, encr, self.integ_id, integ, spi, esn, window, top=top)


def _suites():
    for bits in (128, 192, 256):
        octets = bits // 8
        for number, icv in GCM.items():
            yield Suite(f"aes{bits}gcm{icv}", number, octets + 4, 4, 8, 4, icv)
        for number, icv in CCM.items():
            yield Suite(f"aes{bits}ccm{icv}", number, octets + 3, 3, 8, 4, icv)
        for integ, (digest, key, icv) in HMACS.items():
            yield Suite(f"aes{bits}-{digest}", CBC, octets, 0, 16, 16, icv, integ, key)
            yield Suite(f"aes{bits}ctr-{digest}", CTR, octets + 4, 4, 8, 4, icv, integ, key)
    yield Suite("chacha20poly1305", CHACHA, 36, 4, 8, 4, 16)
    for integ, (digest, key, icv) in HMACS.items():
        yield Suite(f"3des-{digest}", CBC_3DES, 24, 0, 8, 8, icv, integ, key)


SUITES = list(_suites())
BY_NAME = {suite.name: suite for suite in SUITES}
# One of each shape, where all of them would only take longer.
SHAPES = [
    BY_NAME[name]
    for name in (
        "aes128gcm16",
        "aes256gcm8",
        "aes128ccm12",
        "chacha20poly1305",
        "aes256-sha256",
        "aes128ctr-sha1",
        "3des-sha1",
    )
]


def trailer(payload_length, block, next_header):
    """Padding 1, 2, 3 ..., its length and the next header (RFC 4303 section 2.4)."""
    pad = -(payload_length + 2) % block
    return bytes(range(1, pad + 1)) + bytes([pad, next_header])


def icv_of(suite, packet, seq, esn):
    """The truncated HMAC of header, IV and ciphertext."""
    suffix = struct.pack("!I", seq >> 32) if esn else b""
    return hmac.digest(suite.keys[1], packet + suffix, HMACS[suite.integ_id][0])[: suite.icv]


def reference_encrypt(suite, iv, aad, plain):
    """Ciphertext, and the ICV behind it where the cipher makes one."""
    key, salt = suite.keys[0][: suite.encr_key - suite.salt], suite.keys[0][suite.encr_key - suite.salt :]
    if suite.encr_id in GCM:
        sealed = AESGCM(key).encrypt(salt + iv, plain, aad)
        return sealed[: len(plain) + suite.icv]
    if suite.encr_id in CCM:
        return AESCCM(key, tag_length=suite.icv).encrypt(salt + iv, plain, aad)
    if suite.encr_id == CHACHA:
        return ChaCha20Poly1305(key).encrypt(salt + iv, plain, aad)
    if suite.encr_id == CTR:
        cipher = Cipher(algorithms.AES(key), modes.CTR(salt + iv + struct.pack("!I", 1)))
    else:
        cipher = Cipher((algorithms.AES if suite.encr_id == CBC else TripleDES)(key), modes.CBC(iv))
    encryptor = cipher.encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def reference_packet(suite, seq, iv, plain, *, spi=SPI, esn=False):
    """The ESP packet around `plain`, which already ends with its trailer."""
    header = struct.pack("!II", spi, seq & 0xFFFFFFFF)
    aad = struct.pack("!IQ", spi, seq) if esn else header
    packet = header + iv + reference_encrypt(suite, iv, aad, plain)
    return packet if suite.integ_id == 0 else packet + icv_of(suite, packet, seq, esn)


def reference_seal(suite, seq, iv, next_header, payload, *, spi=SPI, esn=False):
    """The ESP packet that `seal` must give for this IV."""
    plain = payload + trailer(len(payload), suite.block, next_header)
    return reference_packet(suite, seq, iv, plain, spi=spi, esn=esn)
