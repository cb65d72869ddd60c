"""Clients by the hundred on one machine: rhp's engine behind real sockets, each client at an address of its own."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address

from bench.engine.pair import Kind, Node, connection
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig
from rhp.ike.effects import Send
from rhp.ike.path import Endpoint, Path
from rhp.lab.errors import LabError
from rhp.lab.namespace import Namespace
from rhp.net.udp import UdpSocket
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

MARKER = bytes(4)
AT_ONCE = 16
PATIENCE = 60.0
NET = IPv4Address("10.9.0.0")
_ANY = "0.0.0.0"  # noqa: S104 (in a namespace of its own)


def client_address(number: int) -> IPv4Address:
    """Where client `number` is, and the one address that its tunnel carries."""
    return NET + number + 1


def tunnel_child(number: int, far: tuple[IPv4Address, IPv4Address]) -> ChildConfig:
    """A child in tunnel mode, which every gateway can do."""
    here = client_address(number) + (1 << 16)
    local = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, here, here)
    remote = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, *far)
    return ChildConfig("net", "tunnel", (local,), (remote,), connection("", "a@b", "a@b", Kind()).children[0].proposals)


class Clients:
    """Calls a gateway with one client after the other, `AT_ONCE` of them under way."""

    def __init__(
        self, namespace: Namespace, gateway: IPv4Address, clients: Sequence[ConnectionConfig], kind: Kind
    ) -> None:
        self._gateway = gateway
        self._clients = clients
        self._node = Node(tuple(clients), kind, 0x1000, EngineConfig())
        self._sockets = [UdpSocket(self._bound(namespace, port)) for port in (500, 4500)]
        self._waiting = 0
        self._done = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @staticmethod
    def _bound(namespace: Namespace, port: int) -> int:
        made = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((_ANY, port))
        return made.detach()

    async def run(self) -> None:
        """Bring all of them up; raises `LabError` when that does not come to an end."""
        loop = self._loop = asyncio.get_running_loop()
        self._sockets[0].listen(loop, lambda data, local, remote: self._heard(data, Path(local, remote, False)))
        self._sockets[1].listen(loop, lambda data, local, remote: self._heard(data[4:], Path(local, remote, True)))
        self._go_on()
        try:
            await asyncio.wait_for(self._done.wait(), PATIENCE)
        except TimeoutError:
            raise LabError(f"{self._node.installed} of {len(self._clients)} clients came up") from None
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for one in self._sockets:
                one.close()

    def _heard(self, datagram: bytes, path: Path) -> None:
        self._send(self._node.receive(datagram, path, self._loop.time()))
        self._go_on()

    def _ticked(self) -> None:
        self._timer = None
        self._send(self._node.tick(self._loop.time()))
        self._go_on()

    def _go_on(self) -> None:
        """Have more clients call, as those before them come up."""
        while self._waiting < min(self._node.installed + AT_ONCE, len(self._clients)):
            one = self._clients[self._waiting]
            self._node.engine.set_config(EngineConfig((one,)))
            path = Path(Endpoint(client_address(self._waiting), 500), Endpoint(self._gateway, 500), False)
            self._waiting += 1
            self._send(self._node.initiate(one.name, self._loop.time(), path))
        if self._node.installed == len(self._clients):
            self._done.set()
        elif self._timer is None and (deadline := self._node.engine.next_deadline()) is not None:
            self._timer = self._loop.call_at(deadline, self._ticked)

    def _send(self, messages: list[Send]) -> None:
        for sent in messages:
            marker = MARKER if sent.path.natt else b""
            self._sockets[sent.path.natt].send(marker + sent.datagram, sent.path.local, sent.path.remote)
