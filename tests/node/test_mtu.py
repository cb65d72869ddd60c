"""MTU arithmetic: what goes in must come out no larger than the outer MTU, and one octet more must not fit."""

from ipaddress import ip_network

import pytest

from rhp.crypto.proposal import parse_esp_proposal
from rhp.node.mtu import Carriage, configured_mtu, inner_mtu, longest_frame, outer_headers, preferred_suite, tcp_mss

# RFC 4303, 4106, 7634, 3602, 3686, 4309: (IV, block to pad to, ICV) by proposal.
SHAPES = {
    "aes128gcm16": (8, 4, 16),
    "aes256gcm12": (8, 4, 12),
    "aes256gcm8": (8, 4, 8),
    "aes128ccm16": (8, 4, 16),
    "chacha20poly1305": (8, 4, 16),
    "aes128-sha256": (16, 16, 16),
    "aes256-sha1": (16, 16, 12),
    "aes256-sha384": (16, 16, 24),
    "aes256-sha512": (16, 16, 32),
    "aes128ctr-sha256": (8, 4, 16),
}


def outer_size(inner, proposal, mode, encapsulation, version):
    """The outer packet's octets, built up from the inside, as the RFCs draw it."""
    iv, block, icv = SHAPES[proposal]
    payload = inner + (2 + 14 if mode == "ethernet" else 0)
    padding = -(payload + 2) % block
    esp = 4 + 4 + iv + payload + padding + 1 + 1 + icv
    return (20 if version == 4 else 40) + (8 if encapsulation == "udp" else 0) + esp


@pytest.mark.parametrize("proposal", SHAPES)
@pytest.mark.parametrize("mode", ["ethernet", "tunnel"])
@pytest.mark.parametrize("encapsulation", ["udp", "esp"])
@pytest.mark.parametrize("version", [4, 6])
def test_the_mtu_fits_and_one_more_does_not(proposal, mode, encapsulation, version):
    suite = preferred_suite(parse_esp_proposal(proposal))
    for outer in (1500, 1492, 1400, 9000):
        mtu = inner_mtu(suite, Carriage(mode, encapsulation, version), outer)
        assert outer_size(mtu, proposal, mode, encapsulation, version) <= outer
        assert outer_size(mtu + 1, proposal, mode, encapsulation, version) > outer


@pytest.mark.parametrize(
    ("mode", "encapsulation", "version", "mtu"),
    [
        ("ethernet", "udp", 4, 1422),
        ("ethernet", "esp", 4, 1430),
        ("ethernet", "udp", 6, 1402),
        ("tunnel", "udp", 4, 1438),
        ("tunnel", "esp", 6, 1426),
    ],
)
def test_the_default_suite_in_numbers(mode, encapsulation, version, mtu):
    suite = preferred_suite(parse_esp_proposal("aes128gcm16"))
    assert inner_mtu(suite, Carriage(mode, encapsulation, version)) == mtu


def test_a_tiny_outer_mtu_gives_the_least_that_ipv4_needs():
    suite = preferred_suite(parse_esp_proposal("aes128gcm16"))
    assert inner_mtu(suite, Carriage("ethernet", "udp", 4), 300) == 576


def test_headers_outside_and_frames_inside():
    assert [outer_headers(Carriage("ethernet", how, version)) for how in ("udp", "esp") for version in (4, 6)] == [
        28,
        48,
        20,
        40,
    ]
    assert longest_frame(1422) == 1436


def test_the_segment_size_leaves_room_for_the_headers():
    assert tcp_mss(1422) == 1382


def test_the_interface_follows_the_tightest_child(make_connection):
    from rhp.crypto.proposal import default_esp_proposals
    from rhp.ike.config import ChildConfig

    def child(text):
        return ChildConfig("x", "ethernet", (), (), (parse_esp_proposal(text),) if text else default_esp_proposals())

    four = make_connection("four", "a", "b", "192.0.2.1", (child(None),))
    six = make_connection("six", "a", "c", "2001:db8::1", (child(None),))
    fat = make_connection("fat", "a", "d", None, (child("aes256-sha512"), child(None)))
    plain = make_connection("plain", "a", "e", None, (child(None),), encapsulation="auto")
    assert six.remote_addrs == (ip_network("2001:db8::1"),)
    assert configured_mtu([four]) == 1422
    assert configured_mtu([plain]) == 1430
    assert configured_mtu([four, six]) == 1402
    assert configured_mtu([four, fat]) == 1390
    assert configured_mtu([]) == 1500
    assert configured_mtu([four, six], 9000) == 8902
