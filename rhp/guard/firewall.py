"""What the kernel's IP forwarding does for the tunnels: switched on, masqueraded, kept apart; and taken back.

One nftables table of our own, `inet rhp-INTERFACE`, made and removed as a whole, so no rule of anybody else is
touched. What was done, and what the sysctls were before, is noted in a file until it has been taken back, so that a
guard that was killed can do so at its next start, whatever its configuration says by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

from rhp.guard import nftables
from rhp.guard.policy import FirewallPolicy
from rhp.guard.undo import UndoLog

KEPT = "firewall.before"
_SYSCTLS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_PROC = Path("/proc/sys")
_STRANGE = re.compile("[^A-Za-z0-9_.-]")


class FirewallError(Exception):
    """It could not be done; the message is one sentence."""


class Firewall:
    """The table and the sysctls; the table is named after `interface`, the file of what was done is in `folder`."""

    def __init__(self, undo: UndoLog, policy: FirewallPolicy, interface: str, folder: Path) -> None:
        self._undo = undo
        self._policy = policy
        # nft's names have fewer characters than those of interfaces.
        self._table = f"inet rhp-{_STRANGE.sub('_', interface)}"
        self._kept = folder / KEPT
        self._begun = False
        self._applied: frozenset[str] = frozenset()

    def recover(self) -> None:
        """Take back what an earlier run left behind. Raises `FirewallError`."""
        if self._kept.exists():
            self._restore()

    def apply(self, interfaces: Iterable[str]) -> None:
        """Do what the policy says for these interfaces and bridges, also where it was done: others may have undone it.

        Raises `FirewallError`, and what was in force before still is.
        """
        wanted = frozenset(interfaces)
        if not self._policy.wanted:
            return
        sysctls = _forwarding() if self._policy.forward else {}
        if not self._begun:
            # What nobody could have made must not be noted: no later start could take it back either.
            self.try_out(wanted)
            # Not a second time: by then the sysctls are as we set them.
            self._note({"table": self._table if self._policy.tabled else None, "sysctls": sysctls})
            self._begun = True
            self._undo.add("the firewall", self._take_back)
        for name, before in sysctls.items():
            # What is on stays so; a container often cannot write here at all.
            if before == "0":
                _write(name, "1")
        if self._policy.tabled:
            _run(self._batch(sorted(wanted)))
        self._applied = wanted

    def again(self) -> None:
        """Do once more what is in force, if anything is. Raises `FirewallError`."""
        if self._applied:
            self.apply(self._applied)

    def mend(self) -> bool:
        """Whether the table had gone that is in force, as by `nft flush ruleset`, and stands again.

        Raises `FirewallError` where it cannot be made.
        """
        if not self._applied or not self._policy.tabled or self.stands():
            return False
        self.again()
        return True

    def stands(self) -> bool:
        """Whether the table is there, as far as this user may see."""
        try:
            # Only what is there could be deleted; nothing is.
            nftables.run(f"delete table {self._table}", dry=True)
        except nftables.NftError:
            return False
        return True

    @property
    def table(self) -> str:
        """Its name, as nft shows it."""
        return self._table

    def try_out(self, interfaces: Iterable[str]) -> None:
        """Have the kernel say whether it would take the table, and change nothing. Raises `FirewallError`."""
        if self._policy.tabled:
            _run(self._batch(sorted(interfaces)), dry=True)

    async def _take_back(self) -> None:
        self._begun, self._applied = False, frozenset()
        self._restore()

    def _note(self, done: dict[str, object]) -> None:
        """Before anything is done."""
        try:
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kept.write_text(json.dumps(done))
            self._kept.chmod(0o600)
        except OSError as error:
            raise FirewallError(f"{self._kept} cannot be written: {error.strerror or error}") from None

    def _restore(self) -> None:
        """Take back what the file says, and then the file: what fails is tried again at the next start."""
        try:
            done = json.loads(self._kept.read_text())
        except (OSError, ValueError):
            done = {}
        table, before = (done.get("table"), done.get("sysctls")) if isinstance(done, dict) else (None, None)
        for name, now in _forwarding().items():
            # What was on already somebody else may need; and what could not be switched on is off, and read-only.
            if isinstance(before, dict) and before.get(name) == "0" and now != "0":
                _write(name, "0")
        if isinstance(table, str):
            # Adding what is there already changes nothing, so this never fails for its absence.
            _run(f"add table {table}\ndelete table {table}")
        with suppress(OSError):
            self._kept.unlink()

    def _batch(self, interfaces: Iterable[str]) -> str:
        names = _set(f'"{name}"' for name in interfaces)
        rules = [f"oifname != {names} {family} saddr {net} masquerade" for family, net in self._networks()]
        apart = [f"iifname {names} oifname {names} drop"] if self._policy.isolate else []
        return "\n".join(
            [
                f"add table {self._table}",
                f"delete table {self._table}",
                f"table {self._table} {{",
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


def _forwarding() -> dict[str, str]:
    """How the sysctls are now; of IPv6 there may be none."""
    try:
        return {name: (_PROC / name).read_text().strip() for name in _SYSCTLS if (_PROC / name).exists()}
    except OSError as error:
        raise FirewallError(f"forwarding cannot be looked at: {error.strerror or error}") from None


def _write(name: str, value: str) -> None:
    try:
        (_PROC / name).write_text(value)
    except OSError as error:
        word = "on" if value == "1" else "off"
        why = error.strerror or error
        raise FirewallError(f"forwarding cannot be switched {word}: {_PROC / name}: {why}") from None


def _run(commands: str, *, dry: bool = False) -> None:
    try:
        nftables.run(commands, dry=dry)
    except nftables.NftError as error:
        raise FirewallError(f"the firewall of [firewall] cannot be set: {error}") from None


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"
