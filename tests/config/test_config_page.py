"""`docs/configuration.md` against the model: every key with its default, and no key that does not exist."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from rhp.config.model import Child, Connection, Hub, Interface, NamedHub, Node, Peering, Pool, Realm
from rhp.crypto.proposal import parse_esp_proposal, parse_ike_proposal

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TABLES = {
    "[node]": Node,
    "[interface]": Interface,
    "[hub]": Hub,
    "[hubs.NAME]": NamedHub,
    "[pools.NAME]": Pool,
    "[connections.NAME]": Connection,
    "[realms.NAME]": Realm,
    "[connections.NAME.children.NAME]": Child,
}
# What a table has in common with another one stands there.
ELSEWHERE = {Realm: Peering, NamedHub: Hub}
# What the page says in words where the model has nothing, a list, or what other keys decide.
IN_WORDS = {
    "none",
    "any",
    "the hub's",
    "named after the hub",
    "safe ones",
    "by what is given",
    "by `remote_addrs`",
    "",
    "a tenth of it",
}
UNSAID = {"mac": "made from machine, name and identities"}


def section(heading):
    text = PAGE.read_text()
    start = text.index(f"## `{heading}`\n")
    end = text.find("\n## ", start + 1)
    rows = [line for line in text[start:end].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")][:2] for row in rows]


def documented(heading):
    """Give each key of a table with its default as the page writes it."""
    for names, default in section(heading):
        keys = re.findall(r"`([^`]+)`", names)
        defaults = [one.strip() for one in default.split(",")] if "," in default and len(keys) > 1 else []
        for index, key in enumerate(keys):
            yield key, defaults[index] if len(defaults) == len(keys) else default


def keys_of(table):
    """The keys of a model, those of its inner tables with a dot; children have a section of their own."""
    elsewhere = ELSEWHERE.get(table, BaseModel).model_fields
    for name, field in table.model_fields.items():
        inner = field.default
        if name in elsewhere:
            continue
        if isinstance(inner, Interface):
            yield "interface", None  # As in the section of that name.
        elif isinstance(inner, BaseModel):
            yield from ((f"{name}.{key}", one) for key, one in keys_of(type(inner)))
        elif name != "children":
            yield name, field.get_default(call_default_factory=True)


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_lists_every_key_and_no_other(heading):
    assert sorted(key for key, _ in documented(heading)) == sorted(key for key, _ in keys_of(TABLES[heading]))


@pytest.mark.parametrize(
    ("heading", "key", "written"), [(heading, key, value) for heading in TABLES for key, value in documented(heading)]
)
def test_the_page_tells_the_default(heading, key, written):
    default = dict(keys_of(TABLES[heading]))[key]
    if written in IN_WORDS or written == UNSAID.get(key):
        assert default in (None, [], {})
        return
    shown = written.strip("`").strip('"')
    assert str(default).lower() == shown


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
