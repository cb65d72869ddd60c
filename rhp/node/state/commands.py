"""What the control socket can ask of the long-term state: leases, their release, totals."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.state.store import Store

SCHEMA_VERSION = 1


class StateCommands:
    """Answers for the store."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine

    def handle(self, request: Request) -> dict[str, Any] | None:
        """Carry out a request that is about the state; None for any other. Raises `CommandRefused`."""
        match request.command:
            case "leases":
                return {"schema_version": SCHEMA_VERSION, "leases": self._store.leases.picture()}
            case "totals":
                self._store.collect()
                return {"schema_version": SCHEMA_VERSION, "totals": self._store.totals.picture()}
            case "release-lease":
                return self._release(request.fields["address"])
        return None

    def _release(self, text: str) -> dict[str, Any]:
        try:
            address = ip_address(text)
        except ValueError:
            raise CommandRefused(f'"{text}" is not an IP address; rhp leases lists those that are lent') from None
        owners = list(self._store.leases.owners(address))
        try:
            self._engine.release_lease(address)
        except LocalError as error:
            if error.reason == "address-in-use":
                told = f"{address} is in use by {' and '.join(owners)}"
                raise CommandRefused(f"{told}; end that connection first, with rhp terminate") from None
            raise CommandRefused(f"nobody has {address}; rhp leases lists those that are lent") from None
        return {"released": owners}
