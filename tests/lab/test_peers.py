"""The real peers, each against itself: what later fails against rhp has then worked here."""

import re
from pathlib import Path

import pytest

from rhp.lab.certificates import Authority
from rhp.lab.errors import CommandFailed, LabError
from rhp.lab.iperf3 import Iperf3
from rhp.lab.openvpn import Credentials, OpenVpn, OpenVpnEnd
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.strongswan import StrongSwan, SwanPrograms
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable

pytestmark = pytest.mark.interop

NEWEST = Path(__file__).parents[2] / "build" / "strongswan"


def connection(own, peer, auths, **settings):
    inner = (f"10.78.0.{own}/32",), (f"10.78.0.{peer}/32",)
    child = SwanChild("c", *inner, settings.pop("esp_proposals", "aes128gcm16"))
    return SwanConnection("t", f"192.0.2.{own}", f"192.0.2.{peer}", auths[0], auths[1], (child,), **settings)


def swans(lab, first, second, programs=None):
    hosts = cable(lab)
    for number, host in enumerate(hosts, 1):
        host.address("lo", f"10.78.0.{number}/32")
    ends = zip(hosts, (first, second), "ab", strict=True)
    return hosts, [
        lab.keep(StrongSwan(host, lab.path(f"swan-{name}"), [one], None, programs)) for host, one, name in ends
    ]


def installed(swan):
    """The SPIs of the pairs that carry traffic."""
    return {child.spi_in for sa in swan.sas("t") for child in sa.children if child.state == "INSTALLED"}


def inner_ping(host):
    return ping(host, "10.78.0.2", count=2, source="10.78.0.1").received


def test_strongswan_by_psk_rekeys_and_deletes(lab):
    ours, theirs = SwanAuth("a@x"), SwanAuth("b@x")
    first, second = connection(1, 2, (ours, theirs), psk="secret"), connection(2, 1, (theirs, ours), psk="secret")
    (a, _), (left, right) = swans(lab, first, second)
    assert re.fullmatch(r"strongSwan \d[\d.]+", left.version())
    left.initiate("c")
    assert inner_ping(a) == 2
    before = left.sas("t")[0]
    assert before.established
    assert before.children[0].bytes_in == before.children[0].bytes_out == 168
    right.rekey_child("c")
    wait_until(lambda: installed(left) and before.children[0].spi_in not in installed(left), 30, "another pair")
    right.rekey_ike("t")
    wait_until(lambda: [sa.spi_i != before.spi_i for sa in left.sas("t")] == [True], 30, "another IKE SA alone")
    assert inner_ping(a) == 2
    left.terminate("t")
    wait_until(lambda: not left.sas() and not right.sas(), 30, "both having nothing")


def test_strongswan_by_certificates(lab):
    authority = Authority(lab.path("ca"), key_type="rsa-2048")
    files = {name: authority.issue(f"{name}.example.org") for name in "ab"}
    ends = {
        name: SwanAuth(f"{name}.example.org", "pubkey", (files[name].cert,), (authority.certificate,)) for name in "ab"
    }
    bare = {name: SwanAuth(f"{name}.example.org", "pubkey", cas=(authority.certificate,)) for name in "ab"}
    first = connection(1, 2, (ends["a"], bare["b"]), key=files["a"].key, esp_proposals="aes256-sha256")
    second = connection(2, 1, (ends["b"], bare["a"]), key=files["b"].key, esp_proposals="aes256-sha256")
    (a, _), (left, _) = swans(lab, first, second)
    left.initiate("c")
    assert inner_ping(a) == 2


def test_strongswan_says_why_it_failed(lab):
    ours, theirs = SwanAuth("a@x"), SwanAuth("b@x")
    first, second = connection(1, 2, (ours, theirs), psk="secret"), connection(2, 1, (theirs, ours), psk="other")
    _, (left, right) = swans(lab, first, second)
    with pytest.raises(CommandFailed, match="AUTHENTICATION_FAILED"):
        left.initiate("c")
    assert "MAC mismatched" in right.tail()


def test_the_newest_strongswan_beside_the_installed_one(lab):
    ours, theirs = SwanAuth("a@x"), SwanAuth("b@x")
    more = {"psk": "secret", "proposals": "aes256gcm16-prfsha384-x25519-ke1_mlkem768"}
    first, second = connection(1, 2, (ours, theirs), **more), connection(2, 1, (theirs, ours), **more)
    (a, _), (left, right) = swans(lab, first, second, SwanPrograms.unpacked(NEWEST))
    assert left.version().split()[1] >= "6.1"
    left.initiate("c")
    assert inner_ping(a) == 2
    assert left.sas("t")[0].suite.endswith("KE1_ML_KEM_768")
    # Killed, it leaves its socket and no mount; started again, it begins anew.
    left.kill()
    assert str(NEWEST) not in Path("/proc/mounts").read_text()
    left.start()
    assert left.sas() == []
    left.initiate("c")
    assert inner_ping(a) == 2
    right.terminate("t")


def test_openvpn_tap(lab):
    a, b = cable(lab)
    authority = Authority(lab.path("ca"))
    server = OpenVpnEnd(b, "192.0.2.2", "10.8.0.2/24", authority.issue("b.example.org"))
    client = OpenVpnEnd(a, "192.0.2.1", "10.8.0.1/24", authority.issue("a.example.org"))
    tunnel = lab.keep(OpenVpn(server, client, lab.path("openvpn")))
    assert reaches(a, "10.8.0.2")
    assert all("cipher 'AES-128-GCM'" in end.tail(200) for end in tunnel.processes)
    with Iperf3(a, b, "10.8.0.2", lab.path("iperf3.log")) as server:
        assert server.tcp(1).gbps > 0.01


def test_openvpn_that_cannot_start_says_why(lab):
    a, b = cable(lab)
    nothing = Credentials(lab.path("no.pem"), lab.path("no.crt"), lab.path("no.key"))
    ends = OpenVpnEnd(b, "192.0.2.2", "10.8.0.2/24", nothing), OpenVpnEnd(a, "192.0.2.1", "10.8.0.1/24", nothing)
    with pytest.raises(LabError, match=r"no\.pem"):
        OpenVpn(*ends, lab.path("openvpn"))
