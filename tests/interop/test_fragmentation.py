"""Fragments (RFC 7383): a chain of RSA-4096 certificates on a path where IP fragments are lost.

Both ends send three certificates of 1.3 kB each, so IKE_AUTH has about 5 kB either way: strongSwan cuts it into
pieces of 600 octets, rhp into pieces of 1280. Nothing that IP has cut arrives at either host, as behind many a NAT.
"""

import re
import shutil

import pytest
from interop_chain import chains

from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD, INNER, MEETING, OURS, THEIRS, Meeting
from rhp.lab.nodeconf import tunnel
from rhp.lab.programs import find
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.interop

PROPOSAL = "aes128gcm16-prfsha256-x25519"
# Before the kernel puts anything together (priority -400): the first fragment of a packet goes, and the others with it.
NO_FRAGMENTS = (
    "add table ip whole ;"
    " add chain ip whole in { type filter hook prerouting priority -500 ; } ;"
    " add rule ip whole in ip frag-off & 0x3fff != 0 counter drop"
)


def whole_packets_only(host):
    host.run([find("nft"), *NO_FRAGMENTS.split()])


def dropped(host):
    listed = host.run([find("nft"), "list", "table", "ip", "whole"])
    return int(re.search(r"counter packets (\d+)", listed)[1])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return chains(tmp_path_factory.mktemp("chains"), (OURS, THEIRS))


@pytest.fixture(scope="module")
def world(programs, files):
    with Lab() as lab:
        a, b = cable(lab)
        for host in (a, b):
            whole_packets_only(host)
        near, far = (f"{address}/32" for address in INNER)
        b.address("lo", far)
        own, their = files[OURS], files[THEIRS]
        # Certificates of CAs in this folder are known to strongSwan; what lies between leaf and root is sent along.
        known = lab.path("strongswan") / "x509ca"
        known.mkdir(parents=True)
        for path in (*their.between, their.root):
            shutil.copy(path, known)
        waits = SwanConnection(
            MEETING,
            outer(2),
            outer(1),
            SwanAuth(THEIRS, "pubkey", (their.cert,)),
            SwanAuth(OURS, "pubkey", cas=(their.root,)),
            (SwanChild(MEETING, (far,), (near,)),),
            key=their.key,
            settings={"unique": "never", "send_cert": "always"},
        )
        swan = lab.keep(StrongSwan(b, lab.path("strongswan"), [waits], {"fragment_size": 600}, programs))
        knows = {
            "local": {"id": OURS, "certs": [str(path) for path in (own.cert, *own.between)], "key": str(own.key)},
            "remote": {"id": THEIRS, "cas": [str(own.root)]},
            "remote_addrs": [outer(2)],
            "start": "wait",
            "proposals": [PROPOSAL],
            "children": {CHILD: tunnel([near], [far], esp_proposals=["aes128gcm16"])},
        }
        node = RhpNode(a, lab.path("rhp"), {"interface": {"addresses": [near]}, "connections": {MEETING: knows}})
        yield Meeting(lab.keep(node), swan, MEETING)


@pytest.mark.parametrize("initiator", ["rhp", "strongSwan"])
def test_a_chain_of_large_certificates(feature, world, initiator):
    role = "initiator" if initiator == "rhp" else "responder"
    with feature("fragmentation, RSA-4096 chain", role=role, peer=world.swan):
        before = len(world.swan.log.read_text())
        world.establish(initiator)
        said = world.swan.log.read_text()[before:]
        # strongSwan cut its own message, and put ours together.
        cut = re.search(r"splitting IKE message \((\d+) bytes\) into (\d+) fragments", said)
        assert int(cut[1]) > 3500 and int(cut[2]) >= 6
        joined = re.search(r"received fragment #\d+ of (\d+), reassembled fragmented IKE message \((\d+) bytes\)", said)
        assert int(joined[2]) > 3500 and int(joined[1]) >= 3
        assert dropped(world.node.namespace) == dropped(world.swan.namespace) == 0
        for act, ike in world.rekeys():
            world.rekey(act, ike=ike)
        world.delete(lambda: world.node.terminate(world.name))
