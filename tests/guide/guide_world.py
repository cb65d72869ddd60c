"""The world of the guide: an Internet that joins the machines, and the networks behind some of them."""

from guide_machines import Machine

# Where each machine is on the Internet. 192.0.2.0/24 is where a laptop may be carried to.
OUTSIDE = {
    "gateway": "198.51.100.7",
    "office-a": "198.51.100.1",
    "office-b": "203.0.113.7",
    "laptop": "203.0.113.20",
    "phone": "203.0.113.21",
    "host": "203.0.113.30",
    "board": "203.0.113.40",
}
ROUTERS = ("198.51.100.254", "203.0.113.254", "192.0.2.254")
# Who stands behind whom, with the address there; a gateway has the first address of that network.
BEHIND = {
    "server": ("gateway", "192.168.10.20/24"),
    "pc-a": ("office-a", "192.168.1.10/24"),
    "pc-b": ("office-b", "192.168.1.20/24"),
}
ROUTED = {"gateway": "192.168.10.1/24"}


class World:
    """Makes each machine when it is first named."""

    def __init__(self, lab):
        self.lab = lab
        self._machines = {}
        self._middle = lab.namespace("internet")
        self._middle.ip("link add br0 type bridge forward_delay 0", "link set br0 up")
        self._middle.address("br0", *(f"{address}/24" for address in ROUTERS))
        self._middle.sysctl("net.ipv4.ip_forward", 1)

    def machine(self, name):
        """The machine of that name, with its cables laid; raises `KeyError` when the world has none."""
        if name in self._machines:
            return self._machines[name]
        machine = self._machines[name] = Machine(self.lab, name)
        if name in BEHIND:
            self._put_behind(machine, *BEHIND[name])
        else:
            port = f"port{len(self._machines)}"
            machine.namespace.link(self._middle, "eth0", port)
            self._middle.ip(f"link set {port} master br0")
            self.move(name, OUTSIDE[name])
            for inner, (outer, _) in BEHIND.items():
                if outer == name:
                    self.machine(inner)
        return machine

    def move(self, name, address):
        """Give a machine another address on the Internet, as another network would."""
        router = next(one for one in ROUTERS if one.rpartition(".")[0] == address.rpartition(".")[0])
        self._machines[name].namespace.ip(
            "address flush dev eth0", f"address add {address}/24 dev eth0", f"route add default via {router}"
        )

    def _put_behind(self, machine, name, address):
        outer = self.machine(name)
        outer.namespace.link(machine.namespace, "eth1", "eth0")
        machine.namespace.address("eth0", address)
        if name in ROUTED:
            outer.namespace.address("eth1", ROUTED[name])
            machine.namespace.ip(f"route add default via {ROUTED[name].partition('/')[0]}")
