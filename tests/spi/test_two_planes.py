"""The fast data plane and the reference one as the two ends of a cable, in one process: every suite, both modes."""

import os
import socket

import pytest
from esp_suites import SHAPES, SUITES
from planes import ANY4, ANY6, BROADCAST, TAP_MAC, Rig, frame, mac
from test_contract import ip4

from rhp._fast.params import SaParams
from rhp.spi.reference.plane import ReferencePlane

SIZES = (0, 1, 46, 47, 500, 1400, 9000)


class Cable:
    """Two running planes and, between them, as many children as wanted."""

    def __init__(self, family=socket.AF_INET):
        self.near, self.far = Rig(family=family), Rig(family=family, make=ReferencePlane)

    def child(self, suite, *, esn=False, kind="ethernet", **port):
        """One child with keys of its own; its ports at both ends."""
        keys = {side: (os.urandom(suite.encr_key), os.urandom(suite.integ_key)) for side in "ab"}
        spis = [rig.plane.allocate_spi() for rig in (self.near, self.far)]
        ports = []
        for rig, other, spi_in, spi_out, ways in (
            (self.near, self.far, *spis, "ab"),
            (self.far, self.near, *reversed(spis), "ba"),
        ):
            ports.append(rig.plane.add_port(kind, **port))
            rig.plane.install(
                SaParams(
                    ports[-1],
                    spi_in,
                    spi_out,
                    "tunnel" if kind == "ip" else "ethernet",
                    suite.encr_id,
                    keys[ways[0]][0],
                    keys[ways[1]][0],
                    rig.ip,
                    other.ip,
                    local_port=rig.port,
                    remote_port=other.port,
                    integrity=suite.integ_id,
                    integrity_key_in=keys[ways[0]][1],
                    integrity_key_out=keys[ways[1]][1],
                    esn=esn,
                )
            )
        return ports

    def take_away(self, ports):
        for rig, port in zip((self.near, self.far), ports, strict=True):
            rig.plane.remove_port(port)

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture(scope="module", params=[socket.AF_INET, socket.AF_INET6], ids=["over-ipv4", "over-ipv6"])
def cable(request):
    made = Cable(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_frames_of_every_suite(cable, suite):
    for esn in (False, True):
        ports = cable.child(suite, esn=esn)
        for size in SIZES:
            body = bytes(index % 251 for index in range(size))
            for source, target, number in ((cable.near, cable.far, 1), (cable.far, cable.near, 2)):
                sent = frame(BROADCAST, mac(number), body)
                source.tap.send(sent)
                assert target.tap.recv() == sent
        cable.take_away(ports)


@pytest.mark.parametrize("suite", SHAPES, ids=lambda suite: suite.name)
def test_packets_in_tunnel_mode(cable, suite):
    ports = cable.child(suite, kind="ip", pseudo_mac=mac(0x77), local_ts=[ANY4, ANY6], remote_ts=[ANY4, ANY6])
    six = b"\x60\0\0\0" + (4).to_bytes(2) + b"\xfd\x40" + bytes(15) + b"\1" + bytes(15) + b"\2" + b"six!"
    for packet, ethertype in ((ip4("10.1.0.1", "10.2.0.1"), b"\x08\x00"), (six, b"\x86\xdd")):
        for source, target in ((cable.near, cable.far), (cable.far, cable.near)):
            source.tap.send(mac(0x77) + TAP_MAC + ethertype + packet + bytes(11))
            assert target.tap.recv() == TAP_MAC + mac(0x77) + ethertype + packet
    cable.take_away(ports)
