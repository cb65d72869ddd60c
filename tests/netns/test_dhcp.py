"""DHCP across the virtual Ethernet, as on a cable: a server at one end, a client at the other, busybox both."""

import json

import pytest

from rhp.lab.pair import TAP, PairOptions, start_pair
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.programs import find
from rhp.lab.topology import cable

pytestmark = pytest.mark.netns

SERVER = """\
start 10.77.0.100
end 10.77.0.100
interface {interface}
lease_file {folder}/leases
pidfile {folder}/pid
option subnet 255.255.255.0
option router 10.77.0.2
option dns 10.77.0.53
option lease 600
"""
SCRIPT = """\
#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[ "$1" = bound ] && ip address add "$ip/24" dev "$interface"
[ "$1" = deconfig ] && ip address flush dev "$interface" scope global
echo "$1 $ip $subnet $router $dns" >> {folder}/told
exit 0
"""


def test_a_client_gets_its_address_from_a_server_at_the_other_end(lab):
    # The client's end has no address of its own.
    nodes = start_pair(lab, cable(lab), PairOptions(interface={"addresses": []}))
    nodes.wait_established()
    a, b = nodes.a.namespace, nodes.b.namespace
    b.address(TAP, "10.77.0.2/24")
    folder = lab.path("dhcp")
    folder.mkdir()
    (folder / "server.conf").write_text(SERVER.format(interface=TAP, folder=folder))
    (folder / "leases").touch()
    script = folder / "script"
    script.write_text(SCRIPT.format(folder=folder))
    script.chmod(0o755)
    busybox = find("busybox")
    server = lab.keep(
        b.start([busybox, "udhcpd", "-f", "-I", "10.77.0.2", str(folder / "server.conf")], folder / "server")
    )
    client = lab.keep(
        a.start([busybox, "udhcpc", "-f", "-i", TAP, "-s", str(script), "-t", "10", "-T", "1"], folder / "client")
    )
    told = folder / "told"
    wait_until(lambda: told.exists() and "bound" in told.read_text(), 30, f"a lease: {client.tail()} {server.tail()}")
    bound = next(line for line in told.read_text().splitlines() if line.startswith("bound"))
    assert bound.split()[1:] == ["10.77.0.100", "255.255.255.0", "10.77.0.2", "10.77.0.53"]
    shown = json.loads(a.run(["ip", "-j", "-4", "address", "show", "dev", TAP]))
    assert [entry["local"] for one in shown for entry in one["addr_info"]] == ["10.77.0.100"]
    assert reaches(a, "10.77.0.2")
    assert reaches(b, "10.77.0.100")
