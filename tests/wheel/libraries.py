"""Three copies of OpenSSL at work in one process: the wheel's own, `cryptography`'s and that of Python's `ssl`.

Prints one JSON object: the versions, and which libcrypto files are mapped. Run by the wheel's own Python.
"""

import hashlib
import hmac
import json
import ssl
import sys
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rhp._fast import dh, evp, prf
from rhp._fast.esp import EspOpener, EspSealer

AES_GCM_16 = 20
KEY, SALT = bytes(range(16)), b"salt"
SPI = 0x12345678
# The prime of group 14 is Python's own affair elsewhere; 2 is a public value of every group.
TWO = (2).to_bytes(256, "big")


def seal_here_open_there(round_number: int) -> None:
    """A packet of rhp's is opened by `cryptography`, and a third party's state is made and used in between."""
    sealer = EspSealer(AES_GCM_16, KEY + SALT, 0, b"", SPI, False)
    opener = EspOpener(AES_GCM_16, KEY + SALT, 0, b"", SPI, False, 64)
    context = ssl.create_default_context()
    payload = hashlib.sha512(bytes([round_number])).digest() * 20
    packet = sealer.seal(round_number, 97, payload)
    plain = AESGCM(KEY).decrypt(SALT + packet[8:16], packet[16:], packet[:8])
    assert plain[: len(payload)] == payload
    assert opener.open(packet) == (97, payload)
    assert prf.prf(7, KEY, payload) == hmac.digest(KEY, payload, "sha512")
    assert context.get_ciphers()


def agree_here_and_there() -> None:
    """Two private values agree, so that the static library's big numbers and random generator are used too."""
    (a, public_a), (b, public_b) = dh.generate(14), dh.generate(14)
    assert dh.agree(14, a, public_b) == dh.agree(14, b, public_a)
    assert dh.agree(14, a, TWO) == public_a


def main() -> None:
    """Use all three in turn, and say what they are."""
    for round_number in range(1, 50):
        seal_here_open_there(round_number)
    agree_here_and_there()
    maps = Path("/proc/self/maps").read_text().split()
    print(
        json.dumps(
            {
                "rhp": evp.openssl_version(),
                "cryptography": backend.openssl_version_text(),
                "ssl": ssl.OPENSSL_VERSION,
                "files": sorted({word for word in maps if "libcrypto" in word}),
                "module": evp.__file__,
                "path": sys.path,
            }
        )
    )


if __name__ == "__main__":
    main()
