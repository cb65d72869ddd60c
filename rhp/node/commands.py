"""What the control socket's commands do to the running node."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.ike.status import IkeStatus
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.journal import Journal
from rhp.node.keeper import Command, Keeper


class Commands:
    """Carries out requests. `picture` makes the status, `stop` begins the end of the node."""

    def __init__(
        self,
        engine: Engine,
        command: Command,
        keeper: Keeper,
        journal: Journal,
        connections: frozenset[str],
        picture: Callable[[], dict[str, Any]],
        stop: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._command = command
        self._keeper = keeper
        self._journal = journal
        self._connections = connections
        self._picture = picture
        self._stop = stop

    async def handle(self, request: Request) -> dict[str, Any]:
        """Carry out one request; raises `CommandRefused`."""
        if request.command == "status":
            return self._picture()
        name, child = request.fields.get("connection", ""), request.fields.get("child", "")
        if request.command == "events":
            return {}
        self._journal.write("command", command=request.command, connection=name, child=child)
        if request.command == "down":
            self._stop("command")
            return {}
        if name not in self._connections:
            raise CommandRefused(
                f"there is no connection {json.dumps(name)}; there is {', '.join(sorted(self._connections))}"
            )
        try:
            return self._for_connection(request.command, name, child)
        except LocalError as error:
            raise CommandRefused(f"{name}: {str(error).replace('-', ' ')}") from None

    def _for_connection(self, command: str, name: str, child: str) -> dict[str, Any]:
        if command == "initiate":
            if not self._keeper.has_address(name):
                raise CommandRefused(f"{name} has no address to call; write remote_addrs into its table")
            self._keeper.want(name)
            return {}
        sas = [sa for sa in self._engine.status() if sa.connection == name]
        if command == "terminate":
            self._keeper.hold(name)
            for sa in sas:
                self._command(partial(self._engine.close, sa.ike_id))
            return {"ended": len(sas)}
        live = [sa for sa in sas if sa.established_at is not None]
        if not live:
            raise CommandRefused(f"{name} is not established")
        if command == "rekey-ike":
            for sa in live:
                self._command(partial(self._engine.rekey_ike, sa.ike_id))
            return {"rekeyed": len(live)}
        return self._for_child(command, name, child, live)

    def _for_child(self, command: str, name: str, child: str, live: list[IkeStatus]) -> dict[str, Any]:
        ids = [one.child_id for sa in live for one in sa.children if one.name == child]
        if not ids:
            raise CommandRefused(f"{name} has no child {json.dumps(child)} now")
        verb = self._engine.rekey_child
        if command == "delete-child":
            self._keeper.hold_child(name, child)
            verb = self._engine.delete_child
        for child_id in ids:
            self._command(partial(verb, child_id))
        return {"children": len(ids)}
