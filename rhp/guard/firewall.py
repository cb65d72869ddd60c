"""What the kernel's IP forwarding does for the tunnels: switched on, masqueraded, kept apart; and taken back.

One nftables table of our own, `inet rhp-INTERFACE`, made and removed as a whole, so no rule of anybody else is
touched. The sysctls that were changed are kept in a file until they have been put back, so that a guard that was killed
can do so at its next start.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from rhp.guard import nftables
from rhp.guard.undo import UndoLog

KEPT = "forwarding.before"
_SYSCTLS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_PROC = Path("/proc/sys")


class FirewallError(Exception):
    """It could not be done; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class FirewallPolicy:
    """What the configuration asks for; the networks are texts such as "10.88.0.0/24"."""

    forward: bool = False
    masquerade: tuple[str, ...] = ()
    isolate: bool = False

    def __bool__(self) -> bool:
        return self.forward or bool(self.masquerade) or self.isolate


class Firewall:
    """The table and the sysctls for these interfaces; `recover` mends what a killed guard left behind."""

    def __init__(self, undo: UndoLog, policy: FirewallPolicy, interfaces: Sequence[str], state_dir: Path) -> None:
        self._undo = undo
        self._policy = policy
        self._interfaces = tuple(interfaces)
        self._kept = state_dir / KEPT
        self._applied = False

    @property
    def table(self) -> str:
        """The table's name in nft's language."""
        return f"inet rhp-{self._interfaces[0]}"

    def recover(self) -> None:
        """Remove a table of an earlier run, and put back what it changed. Raises `FirewallError`."""
        self._restore()
        if self._policy:
            self._remove()

    def apply(self) -> None:
        """Do what the policy says; again for nothing. Raises `FirewallError`."""
        if not self._policy or self._applied:
            return
        self._applied = True
        self._undo.add(f"the table {self.table}", self._take_back)
        if self._policy.forward:
            self._switch_on()
        if self._policy.masquerade or self._policy.isolate:
            self._run(self._batch())

    async def _take_back(self) -> None:
        self._applied = False
        self._restore()
        self._remove()

    def _batch(self) -> str:
        names = _set(f'"{name}"' for name in self._interfaces)
        rules = [f"oifname != {names} {family} saddr {net} masquerade" for family, net in self._networks()]
        apart = [f"iifname {names} oifname {names} drop"] if self._policy.isolate else []
        return "\n".join(
            [
                f"add table {self.table}",
                f"delete table {self.table}",
                f"table {self.table} {{",
                "chain postrouting { type nat hook postrouting priority srcnat; policy accept;",
                *rules,
                "}",
                "chain forward { type filter hook forward priority filter; policy accept;",
                *apart,
                "}",
                "}",
            ]
        )

    def _networks(self) -> list[tuple[str, str]]:
        networks = [ip_network(text) for text in self._policy.masquerade]
        return [("ip" if one.version == 4 else "ip6", str(one)) for one in networks]

    def _remove(self) -> None:
        # Adding what is there already changes nothing, so this never fails for its absence.
        self._run(f"add table {self.table}\ndelete table {self.table}")

    def _run(self, commands: str) -> None:
        try:
            nftables.run(commands)
        except nftables.NftError as error:
            raise FirewallError(f"the table {self.table} cannot be set: {error}") from None

    def _switch_on(self) -> None:
        before = {name: (_PROC / name).read_text().strip() for name in _SYSCTLS if (_PROC / name).exists()}
        try:
            self._kept.write_text(json.dumps(before))
            self._kept.chmod(0o600)
            for name in before:
                (_PROC / name).write_text("1")
        except OSError as error:
            raise FirewallError(f"forwarding cannot be switched on: {error.strerror or error}") from None

    def _restore(self) -> None:
        try:
            before = json.loads(self._kept.read_text())
        except (OSError, ValueError):
            before = {}
        if isinstance(before, dict):
            for name in _SYSCTLS:
                # Somebody else may need what was on already.
                if before.get(name) == "0":
                    with suppress(OSError):
                        (_PROC / name).write_text("0")
        self._kept.unlink(missing_ok=True)


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"
