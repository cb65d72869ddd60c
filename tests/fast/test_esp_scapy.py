"""scapy as referee: it opens what we seal and we open what it seals, for every suite that it knows."""

import pytest
from esp_suites import BY_NAME, SPI, SUITES
from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation
from scapy.packet import Raw

ENCRYPTION = {20: "AES-GCM", 14: "AES-CCM", 15: "AES-CCM", 16: "AES-CCM", 28: "CHACHA20-POLY1305", 12: "AES-CBC"}
ENCRYPTION |= {13: "AES-CTR", 3: "3DES"}
INTEGRITY = {0: "NULL", 2: "HMAC-SHA1-96", 12: "SHA2-256-128", 13: "SHA2-384-192", 14: "SHA2-512-256"}

# scapy's GCM has no short tags; those follow from the full one, below.
known = pytest.mark.parametrize(
    "suite", [suite for suite in SUITES if suite.encr_id in ENCRYPTION], ids=lambda suite: suite.name
)
numbers = pytest.mark.parametrize(
    ("esn", "seq"), [(False, 1), (False, 2**32 - 1), (True, 9), (True, (5 << 32) + 77)], ids=lambda value: str(value)
)


def association(suite, seq, esn):
    encr, integ = suite.keys
    return SecurityAssociation(
        ESP,
        spi=SPI,
        crypt_algo=ENCRYPTION[suite.encr_id],
        crypt_key=encr,
        crypt_icv_size=None if suite.integ_id else suite.icv,
        auth_algo=INTEGRITY[suite.integ_id],
        auth_key=integ or None,
        esn_en=esn,
        esn=seq >> 32,
    )


@known
@numbers
@pytest.mark.parametrize("size", [0, 1, 57, 1400])
def test_scapy_opens_what_we_seal(suite, esn, seq, size):
    payload = bytes(UDP(sport=1, dport=2) / Raw(bytes(size)))
    packet = suite.sealer(esn=esn).seal(seq, 17, payload)

    opened = association(suite, seq, esn).decrypt(IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / ESP(packet))

    assert opened.proto == 17
    assert bytes(opened[UDP]) == payload


@known
@numbers
@pytest.mark.parametrize("size", [0, 1, 57, 1400])
def test_we_open_what_scapy_seals(suite, esn, seq, size):
    clear = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=2) / Raw(bytes(size))))
    sealed = association(suite, seq, esn).encrypt(clear, seq_num=seq & 0xFFFFFFFF)

    opener = suite.opener(esn=esn, top=seq - 1)

    assert opener.open(bytes(sealed[ESP])) == (17, bytes(clear[UDP]))
    assert opener.replay_top == seq


@known
def test_scapy_refuses_the_wrong_high_half(suite):
    # Else the tests above would not show that the high half is authenticated.
    seq = (5 << 32) + 77
    packet = suite.sealer(esn=True).seal(seq, 17, bytes(20))
    outer = IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / ESP(packet)
    with pytest.raises(IPSecIntegrityError):
        association(suite, seq + (1 << 32), True).decrypt(outer)


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("icv", [8, 12])
def test_a_short_gcm_tag_is_the_long_one_cut(bits, icv):
    suite = BY_NAME[f"aes{bits}gcm{icv}"]
    encr, _ = suite.keys
    full = BY_NAME[f"aes{bits}gcm16"]
    packet = suite.sealer().seal(3, 17, bytes(100))
    sealed = association(full, 3, False)
    sealed.crypt_key, sealed.crypt_salt = encr[:-4], encr[-4:]
    clear = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=17) / Raw(bytes(100))))
    theirs = bytes(sealed.encrypt(clear, seq_num=3, iv=packet[8:16])[ESP])
    assert theirs[: len(packet)] == packet
    assert suite.opener().open(theirs[: len(packet)]) == (17, bytes(100))
