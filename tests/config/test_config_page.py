"""`docs/configuration.md`: what its prose promises. Its tables are made of the model, see tests/docs/test_manual.py."""

import re
from pathlib import Path

from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_every_algorithm_on_the_page_can_be_written():
    text = PAGE.read_text()
    table = text[text.index("## Algorithms") :]
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.+?) \|$", table, re.MULTILINE))
    names = {kind: re.findall(r"`([a-z0-9]+)`", row) for kind, row in rows.items()}
    for name in names["AEAD"]:
        assert parse_ike_proposal(f"{name}-prfsha256-x25519")
    for encryption in names["encryption"]:
        for integrity in names["integrity"]:
            assert parse_ike_proposal(f"{encryption}-{integrity}-x25519")
    for prf in names["PRF"]:
        for exchange in names["key exchange"]:
            assert not parse_ike_proposal(f"aes128gcm16-{prf}-{exchange}").warnings
    for word in names["sequence numbers"]:
        assert parse_esp_proposal(f"aes128gcm16-{word}")
    for old in ("modp1024", "modp1536"):
        assert parse_ike_proposal(f"aes128gcm16-prfsha256-{old}").warnings
    assert parse_ike_proposal("3des-sha256-x25519").warnings
