"""Further algorithms against strongSwan, with rekeys by the other side (libipsec has no long sequence numbers)."""

import pytest

from rhp.lab.interop import Matrix, Row, Suite
from rhp.lab.lab import Lab

pytestmark = pytest.mark.interop

SUITES = [
    ("PSK", Suite("AES-256-GCM, P-384", "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384")),
    ("PSK", Suite("AES-128-GCM-12, X448", "aes128gcm12-prfsha512-x448", "aes128gcm12")),
    ("PSK", Suite("AES-128-CCM, Brainpool", "aes128ccm16-prfsha256-ecp256bp", "aes128ccm16")),
    ("PSK", Suite("AES-128-CTR, SHA2-256", "aes128ctr-sha256-ecp521", "aes128ctr-sha256")),
    ("PSK", Suite("AES-192-CBC, SHA2-384", "aes192-sha384-modp3072", "aes192-sha384-modp3072")),
    ("PSK", Suite("AES-256-CBC, SHA2-512", "aes256-sha512-modp4096", "aes256-sha512")),
    ("PSK", Suite("AES-128-CBC, SHA-1", "aes128-sha1-modp2048", "aes128-sha1")),
    ("PSK", Suite("legacy by name only", "3des-sha1-modp1024", "3des-sha1")),
    ("Ed25519", Suite("AES-128-GCM", "aes128gcm16-prfsha256-x25519", "aes128gcm16")),
]
ROWS = tuple(Row(number, ("rhp", "strongSwan")[number % 2], *each) for number, each in enumerate(SUITES, 1))


@pytest.fixture(scope="module")
def world():
    with Lab() as lab:
        yield Matrix(lab, ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.suite.name)
def test_suite(world, row):
    world.establish(row)
    met = world.meeting(row)
    our_child, their_child, our_ike, their_ike = (act for act, _ in met.rekeys())
    # A rekey is asked for, not waited for: `rekey` sees that it is done before the next one begins.
    met.rekey(their_child if row.initiator == "rhp" else our_child, ike=False)
    met.rekey(our_ike if row.initiator == "rhp" else their_ike, ike=True)
    entry = world.node.connection(row.name)
    assert set(row.suite.ike.split("-")) <= set(entry["suite"].split("-"))
    world.node.terminate(row.name)
