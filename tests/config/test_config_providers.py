"""Providers in a configuration: found and used while it is read, or each mistake told at its place."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from rhp.config.apart import apart
from rhp.config.describe import describe
from rhp.config.errors import ConfigError
from rhp.config.loading import load
from rhp.ike.config import EngineConfig
from rhp.node.share import complete
from rhp.pki.ca import create_ca
from rhp.spi import find

CONNECTION = """
[connections.office]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""
CERTIFICATES = """
[connections.office]
local.id = "a.example.org"
local.certs = "a.example.org.pem"
local.key = "a.example.org.key"
remote.id = "b.example.org"
"""


def mistakes(file, now):
    with pytest.raises(ConfigError) as caught:
        load(file, now)
    return [(one.where, one.message) for one in caught.value.problems if not one.warning]


class Store:
    """A certificate store that is its own provider; `parts` are what it holds."""

    api_version = 1

    def __init__(self, *parts):
        self.parts = [*parts, (), (), ()][:3]

    def open(self, question):
        self.question = question
        return self

    def anchors(self):
        return self.parts[0]

    def intermediates(self):
        return self.parts[1]

    def crls(self):
        return self.parts[2]


@pytest.fixture
def stores(monkeypatch):
    """Puts a store in the place of whatever name a configuration has."""

    def put(store):
        monkeypatch.setattr(find, "load", lambda kind, name: store)
        return store

    return put


def test_names_reach_the_settings(written, now):
    loaded = load(written('[node]\nesp_provider = "reference"\nevent_sinks = "jsonl"\n' + CONNECTION), now)
    assert (loaded.settings.esp_provider, loaded.settings.event_sinks) == ("reference", ("jsonl",))
    assert "providers: ESP by reference; events to jsonl" in describe(loaded)
    loaded = load(written(CONNECTION), now)
    assert loaded.settings.esp_provider == "fast"
    assert not [line for line in describe(loaded) if line.startswith("providers")]
    loaded = load(written('[node]\ncrypto_providers = ["builtin"]\n' + CONNECTION), now)
    assert loaded.settings.crypto_providers == ("builtin",)


def test_names_that_are_not_there(written, now):
    text = '[node]\nesp_provider = "fats"\ncrypto_providers = ["mine", 7]\nevent_sinks = ["jsonl", "log", "jsonl"]\n'
    text += CONNECTION + 'remote.certificate_store = "safe"\n' + CONNECTION.split("psk_file")[0].replace("office", "x")
    found = dict(mistakes(written(text), now))
    assert found["node.esp_provider"] == (
        'there is no ESP provider "fats"; installed: fast, reference; did you mean fast?'
    )
    assert found["node.crypto_providers[0]"] == 'there is no crypto provider "mine"; installed: builtin'
    assert "node.crypto_providers[1]" in found
    assert found["node.event_sinks[1]"] == 'there is no event sink "log"; installed: jsonl'
    assert found["node.event_sinks[2]"] == '"jsonl" is there already; leave one of them out'


def test_a_store_stands_for_files(written, folder, now, stores):
    (ca,) = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
    der = ca.public_bytes(Encoding.DER)
    store = stores(Store([der], [der]))
    loaded = load(written(CERTIFICATES + 'remote.certificate_store = "safe"\nremote.cas = "any words"\n'), now)
    assert store.question.connection == "office"
    assert (store.question.cas, store.question.folder) == (("any words",), folder)
    remote = loaded.engine.connections[0].remote
    assert (remote.method, remote.cas, remote.intermediates, remote.crls) == ("pubkey", (der,), (der,), ())


def test_a_store_of_a_realm(written, folder, now, stores):
    """It is asked for the realm, and what it trusts arrives in the node's share."""
    (ca,) = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
    der = ca.public_bytes(Encoding.DER)
    store = stores(Store([der], [der]))
    realm = CERTIFICATES.replace("connections.office", "realms.staff").replace("remote.id", "#")
    text = realm + 'match = ["*.example.org"]\nremote.certificate_store = "safe"\n'
    loaded = load(written(text), now)
    assert (store.question.connection, store.question.cas) == ("staff", ())
    remote = complete(apart(loaded).node, EngineConfig()).engine.connections[0].remote
    assert (remote.cas, remote.intermediates) == ((der,), (der,))


def test_certificates_of_our_own_are_no_revocation_lists(written, folder, now):
    (folder / "crl.pem").write_text("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n")
    text = CERTIFICATES.replace('"a.example.org.pem"', '"crl.pem"') + 'remote.cas = "ca.pem"\n'
    assert "connections.office.local.certs[0]" in dict(mistakes(written(text), now))


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (Store(), "it trusts nobody, so no peer would be believed; put a CA into it"),
        (Store(["text"]), 'the certificate store "safe" gives no list of certificates in DER; mend its package'),
        (Store(None), 'the certificate store "safe" gives no list of certificates in DER; mend its package'),
        (object(), "the certificate store \"safe\" failed (AttributeError: 'object' object has no attribute 'open')"),
    ],
)
def test_a_store_that_is_of_no_use(written, now, stores, store, words):
    stores(store)
    ((where, message),) = mistakes(written(CERTIFICATES + 'remote.certificate_store = "safe"\n'), now)
    assert where == "connections.office.remote.certificate_store"
    assert message.startswith(words)


def test_revocation_lists_beside_the_authorities(written, folder):
    ca = create_ca("Other CA", datetime(2026, 2, 1, tzinfo=UTC))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    key = load_pem_private_key(ca.private_key, None)
    name = x509.load_pem_x509_certificate(ca.certificate).subject
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
    crl = builder.next_update(now + timedelta(days=7)).sign(key, hashes.SHA256())
    (folder / "other.pem").write_bytes(ca.certificate + crl.public_bytes(Encoding.PEM))
    (folder / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    loaded = load(written(CERTIFICATES + 'remote.cas = ["other.pem", "crl.pem"]\n'), now)
    remote = loaded.engine.connections[0].remote
    assert len(remote.cas) == 1
    assert remote.crls == (crl.public_bytes(Encoding.DER),) * 2
    assert not [one for one in loaded.warnings if "revocation" in one.message]
    later = load(written(CERTIFICATES + 'remote.cas = ["other.pem", "crl.pem"]\n'), now + timedelta(days=8))
    assert [one.message for one in later.warnings if "revocation" in one.message] == [
        "the revocation list of CN=Other CA ended on 2026-03-08; fetch a new one; until then no peer of it is believed"
    ]
    (folder / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM).replace(b"M", b"!"))
    ((where, message),) = mistakes(written(CERTIFICATES + 'remote.cas = ["other.pem", "crl.pem"]\n'), now)
    assert where == "connections.office.remote.cas"
    assert message.startswith("crl.pem: the revocation list cannot be read")


def test_a_crypto_provider_that_clashes_or_fails(written, now, stores):
    class Provider:
        def transforms(self):
            return ["a word"]

    for provider, words in (
        (Provider(), 'the crypto provider "mine" cannot be used: str is no kind of algorithm'),
        (object(), 'the crypto provider "mine" failed (AttributeError'),
    ):
        stores(provider)
        found = dict(mistakes(written('[node]\ncrypto_providers = "mine"\n' + CONNECTION), now))
        assert found["node.crypto_providers[0]"].startswith(words)
