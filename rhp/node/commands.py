"""What the control socket's commands do to the running node."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.ike.redirection import Gateway
from rhp.ike.status import IkeStatus
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.control.unknown import no_connection
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.keeper import Command, Keeper
from rhp.node.views import VIEWS, Views
from rhp.pki.identity import format_identity


class Commands:
    """Carries out requests. `views` answers those that only look, `stop` begins the end of the node, `add_lane`
    takes one more lane into use, `reload` reads the configuration again; `connections` may follow that."""

    def __init__(
        self,
        engine: Engine,
        command: Command,
        keeper: Keeper,
        journal: Journal,
        connections: Collection[str],
        views: Views,
        stop: Callable[[str], None],
        add_lane: Callable[[], Awaitable[int]],
        reload: Callable[[str], Awaitable[dict[str, Any]]],
    ) -> None:
        self._engine = engine
        self._command = command
        self._keeper = keeper
        self._journal = journal
        self._connections = connections
        self._views = views
        self._stop = stop
        self._add_lane = add_lane
        self._reload = reload

    async def handle(self, request: Request) -> dict[str, Any]:
        """Carry out one request; raises `CommandRefused`."""
        if request.command in VIEWS:
            return self._views.answer(request)
        name, child = request.fields.get("connection", ""), request.fields.get("child", "")
        if request.command == "events":
            return {}
        if request.command == "down":
            self._stop("command")
            return {}
        if request.command == "add-lane":
            return await self._grow()
        if request.command == "reload":
            return await self._reload("command")
        if name not in self._connections:
            raise CommandRefused(no_connection(name, self._connections))
        try:
            if request.command in ("redirect", "redirect-off"):
                return self._redirect(name, request.fields.get("target"), request.fields.get("peer"))
            return self._for_connection(request.command, name, child)
        except LocalError as error:
            raise CommandRefused(f"{name}: {str(error).replace('-', ' ')}") from None

    async def _grow(self) -> dict[str, Any]:
        try:
            return {"lane": await self._add_lane()}
        except (OSError, StartError) as error:
            raise CommandRefused(str(error)) from None

    def _for_connection(self, command: str, name: str, child: str) -> dict[str, Any]:
        if command == "initiate":
            if not self._keeper.has_address(name):
                raise CommandRefused(f"{name} has no address to call{self._keeper.advice(name)}")
            self._keeper.want(name)
            return {}
        sas = self._engine.status(name)
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
        if command == "reauthenticate":
            for sa in live:
                self._command(partial(self._engine.reauthenticate, sa.ike_id))
            return {"renewed": len(live)}
        return self._for_child(command, name, child, live)

    def _redirect(self, name: str, target: str | None, peer: str | None) -> dict[str, Any]:
        """Send one peer of a connection to another gateway, or all of them and who calls from now on."""
        try:
            gateway = Gateway.named(target) if target is not None else None
        except ValueError as error:
            raise CommandRefused(str(error)) from None
        if peer is None:
            self._engine.redirect_callers(name, gateway)
        if gateway is None:
            return {}
        sent = left = 0
        for sa in self._engine.status():
            if sa.connection != name or sa.peer is None or sa.established_at is None:
                continue
            if peer is not None and format_identity(sa.peer) != peer:
                continue
            try:
                self._command(partial(self._engine.redirect, sa.ike_id, gateway))
                sent += 1
            except LocalError:
                left += 1
        if peer is not None and not sent + left:
            raise CommandRefused(f"{name} has no peer {json.dumps(peer)} now")
        return {"redirected": sent, "unable": left}

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
