"""Every algorithm once, in a whole handshake with traffic keys that fit."""

import pytest
from ladder_world import child, config, connection

from rhp.crypto.algorithms import ADDITIONAL_ONLY, ENCRYPTIONS, INTEGRITIES, KEY_EXCHANGES, PRFS

CIPHERS = [
    item.name if item.aead else f"{item.name}-{INTEGRITIES[index % len(INTEGRITIES)].name}"
    for index, item in enumerate(ENCRYPTIONS)
]
MACS = [f"aes128-{item.name}" for item in INTEGRITIES]


def link_with(ladder, *, ike="aes128gcm16-prfsha256-x25519", esp="aes128gcm16"):
    children = (child(esp=(esp,)),)
    return ladder(
        config(connection("a@x", "b@x", ike=(ike,), children=children)),
        config(connection("b@x", "a@x", ike=(ike,), children=children)),
    )


def walk(link):
    """a initiates, rekeys its child, then the IKE SA, and deletes: every message that the suite has to carry."""
    link.establish()
    link.check_established()
    link.advance(1)
    link.call(link.a, "rekey_child", link.a.child().child_id)
    link.settle()
    link.check_established()
    link.call(link.b, "rekey_ike", link.b.status().ike_id)
    link.settle()
    link.check_established()
    link.call(link.a, "close", link.a.status().ike_id)
    link.settle()
    assert link.a.states() == link.b.states() == []
    assert link.a.count("integrity-check-failed") == link.b.count("integrity-check-failed") == 0


@pytest.mark.parametrize("cipher", dict.fromkeys(CIPHERS + MACS))
def test_ike_ciphers(ladder, cipher):
    walk(link_with(ladder, ike=f"{cipher}-prfsha256-x25519"))


@pytest.mark.parametrize("prf", [item.name for item in PRFS])
def test_pseudo_random_functions(ladder, prf):
    link = link_with(ladder, ike=f"aes256gcm16-{prf}-x25519")
    walk(link)


@pytest.mark.parametrize("method", KEY_EXCHANGES)
def test_additional_key_exchanges(ladder, method):
    first = "ecp256" if method == "x25519" else "x25519"
    walk(link_with(ladder, ike=f"aes128gcm16-prfsha256-{first}-ke1_{method}"))


@pytest.mark.parametrize("method", [name for name, method in KEY_EXCHANGES.items() if method not in ADDITIONAL_ONLY])
def test_key_exchanges(ladder, method):
    link = link_with(ladder, ike=f"aes128gcm16-prfsha256-{method}", esp=f"aes128gcm16-{method}")
    walk(link)


@pytest.mark.parametrize("esn", ["esn", "noesn"])
@pytest.mark.parametrize("cipher", dict.fromkeys(CIPHERS + MACS))
def test_esp_ciphers(ladder, cipher, esn):
    link = link_with(ladder, esp=f"{cipher}-{esn}").establish()
    link.check_established()
    suite = link.a.child().suite
    assert suite.esn == (esn == "esn")
    assert suite.name.startswith(cipher)
    assert len(link.a.child().integ_in) == (0 if suite.integrity is None else suite.integrity.key_bytes)
