"""What the node has the guard run when something happens to a tunnel: it tells what happened, and knows no program.

A tunnel is an IKE SA with a child. It is up from its first child to the end of the IKE SA, through every rekey and
reauthentication in between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from rhp.guard.guard import Guard
from rhp.guard.protocol import RunHook
from rhp.ike import events
from rhp.ike.config import ConnectionConfig
from rhp.ike.path import Path
from rhp.node.settings import NodeSettings
from rhp.pki.identity import format_identity
from rhp.wire.identity import Identity

_MOST_UNDER_WAY = 256
SKIPPED = "hooks-skipped"
"""What is counted: hooks that nobody was asked for, because so many were under way already."""


class HookAsker:
    """Hears the engine's events and asks for the hooks of those that are wanted.

    `find` gives a connection by name, `device` the interface of a hub by the hub's name, empty where there is none.
    """

    def __init__(
        self,
        guard: Guard,
        settings: NodeSettings,
        find: Callable[[str], ConnectionConfig | None],
        device: Callable[[str], str],
    ) -> None:
        self._guard = guard
        self._wanted = frozenset(settings.hooked)
        self._find = find
        self._device = device
        self._paths: dict[int, Path] = {}
        self._peers: dict[int, str] = {}
        # Tunnels that are up, each with the interface that it came up on: a reload may put its connection elsewhere.
        self._up: dict[int, str] = {}
        self._asking: set[asyncio.Task[object]] = set()
        self.counters: Counter[str] = Counter({SKIPPED: 0})

    def node(self, event: str) -> None:
        """Something of the node itself: "node-up" or "node-down"."""
        self._ask(RunHook(event))

    def heard(self, event: events.Event) -> None:
        """Look at one event of the engine."""
        if not self._wanted:
            return
        match event:
            case events.IkeEstablished() | events.IkeReauthenticated():
                self._paths[event.ike_id] = event.path
                self._peers[event.ike_id] = format_identity(event.peer)
            case events.ChildEstablished(ike_id=ike_id):
                if ike_id not in self._up:
                    self._up[ike_id] = self._device_of(event.connection)
                    self._tell("tunnel-up", ike_id, event.connection)
            case events.PathChanged():
                self._paths[event.ike_id] = event.new
                self._tell("path-changed", event.ike_id, event.connection, reason=event.reason)
            case events.AddressesAssigned():
                given = event.assignment.addresses
                self._tell("addresses-assigned", event.ike_id, event.connection, _words(given), event.peer)
            case events.AddressLeased() | events.LeaseEnded():
                word = "address-leased" if isinstance(event, events.AddressLeased) else "lease-ended"
                self._tell(word, event.ike_id, event.connection, _words(event.addresses), event.peer)
            case events.IkeClosed():
                self._closed(event)

    def _closed(self, event: events.IkeClosed) -> None:
        if event.ike_id in self._up:
            self._tell("tunnel-down", event.ike_id, event.connection, reason=event.reason)
        self._up.pop(event.ike_id, None)
        self._paths.pop(event.ike_id, None)
        self._peers.pop(event.ike_id, None)

    def _tell(
        self,
        event: str,
        ike_id: int,
        connection: str,
        addresses: str = "",
        peer: Identity | None = None,
        reason: str = "",
    ) -> None:
        path, device = self._paths.get(ike_id), self._up.get(ike_id)
        self._ask(
            RunHook(
                event,
                connection,
                format_identity(peer) if peer is not None else self._peers.get(ike_id, ""),
                str(path.local.ip) if path is not None else "",
                str(path.remote.ip) if path is not None else "",
                addresses,
                self._device_of(connection) if device is None else device,
                reason,
            )
        )

    def _device_of(self, connection: str) -> str:
        config = self._find(connection)
        return self._device(config.policy.hub) if config is not None else ""

    def _ask(self, question: RunHook) -> None:
        if question.event not in self._wanted:
            return
        if len(self._asking) >= _MOST_UNDER_WAY:
            self.counters[SKIPPED] += 1
            return
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(self._guard.ask(question), name="rhp-hook")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


def _words(addresses: Collection[object]) -> str:
    return " ".join(map(str, addresses))
