"""The guard's process: what is read, opened and given up in which order, and what becomes of the rest when one dies.

It begins as root. The node is started and loads its code; meanwhile a process of its own reads the configuration and
ends. Then: secrets, folders, the run folder's lock; the node is told what to serve; the guard takes back what an
earlier run left on the machine, gives up being root, and answers questions until the node has ended. Whatever way it
ends, what the guard has changed on the machine is taken back.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.crypto.algorithms import prfs
from rhp.guard import exits, folders, nftables, shape
from rhp.guard.brief import Brief, Mistaken, Outcome, Shares, write_revision
from rhp.guard.child import Child
from rhp.guard.given import GivenSockets
from rhp.guard.kept import KeptTaps
from rhp.guard.kinds import Reload, Start, Stop
from rhp.guard.local import LocalGuard
from rhp.guard.manager import Manager
from rhp.guard.policy import GuardPolicy, HookPolicy
from rhp.guard.protocol import Answer, Done, Refused, ReleaseAll, RunHook, ServiceQuestion
from rhp.guard.reading import read_again, read_configuration
from rhp.guard.sandbox import guard as sandbox
from rhp.guard.sandbox.accounts import find
from rhp.guard.sandbox.capabilities import permitted
from rhp.guard.secrets import SecretsError
from rhp.guard.service import Service
from rhp.guard.supervision import Supervision
from rhp.node import preflight
from rhp.node.errors import StartError
from rhp.node.log import EventLog, set_levels, set_up

if TYPE_CHECKING:
    from rhp.guard.hooks.dispatch import HookRunner, Hooks

PATIENCE = 10.0
"""Seconds that a node has to end in once it should."""

ROUND = 60.0
"""Seconds between two looks at the firewall's table, which goes when somebody flushes all of nftables."""


def run(config_file: Path) -> int | Mistaken:
    """Run guard and node until both have ended; the exit status, or what is wrong with the configuration.

    Raises `StartError`.
    """
    # Before it serves there is nothing to reload. What it starts begins by ignoring it too; the runner of hooks mends
    # that for these.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    preflight.check_privilege()
    manager = Manager()
    child = Child()
    try:
        outcome: Outcome = read_configuration(config_file)
        if isinstance(outcome, Mistaken):
            return outcome
        return _run(child, outcome, manager)
    finally:
        child.end()
        manager.close()


def _open_log(brief: Brief) -> None:
    try:
        set_up(brief.log_level, levels=dict(brief.log_levels), form=brief.log_format)
    except OSError as error:
        raise StartError(
            f'the journal cannot be written to: {error.strerror}; write "text" or "json" into node.log_format'
        ) from None


def _run(child: Child, shares: Shares, manager: Manager) -> int:
    brief = shares.guard
    _open_log(brief)
    log = EventLog(time.monotonic)
    preflight.check_machine(brief.lowest_port)
    for warned in brief.warnings:
        place = f"{brief.file}:{warned.line}" if warned.line else brief.file
        log.write("configuration warning", place=place, detail=f"{warned.where}: {warned.message}")
    _add_algorithms(brief.crypto_providers)
    try:
        given = GivenSockets(manager.sockets())
        read = partial(read_again, Path(brief.file))
        kept = KeptTaps(manager, brief.policy.interfaces)
        guard = LocalGuard(brief.policy, read, shares, kept=kept, given=given)
    except SecretsError as error:
        raise StartError("; ".join(error.problems)) from None
    _check_capabilities(brief)
    accounts = find(brief.identities)
    with preflight.RunFolder(Path(brief.run_dir)) as folder, _running(brief.policy.hooks) as runner:
        folders.prepare(brief, accounts)
        start = Start(accounts.user, accounts.group, (brief.run_dir, brief.state_dir))
        given.belong(accounts.guard, brief.policy.ports)
        for sentence in given.unfit:
            log.write("socket unfit", detail=sentence)
        child.begin(start, write_revision(shares.node), (folder.lock,))
        preload(brief.policy)
        _recover(guard)
        try:
            sandbox.enter(accounts, brief.policy)
        except OSError as error:
            raise StartError(f"the guard cannot give up being root: {error.strerror or error}") from None
        return asyncio.run(_serve(child, guard, brief, log, manager, runner))


def _recover(guard: LocalGuard) -> None:
    """While this is root: what is left on the machine need not be what this configuration lets the guard change."""
    answer = asyncio.run(guard.recover())
    if isinstance(answer, Refused):
        raise StartError(f"what an earlier run left on this machine cannot be taken back: {answer.reason}")


def _check_capabilities(brief: Brief) -> None:
    """Say now what would fail half-way, when the node is another user's already."""
    if missing := sandbox.lacking(brief.policy, permitted()):
        names = " and ".join(f"CAP_{name}" for name in missing)
        options = " ".join(f"--cap-add {name}" for name in missing)
        raise StartError(
            f"root has no {names} here; start the container with {options}, or put it into the CapabilityBoundingSet= "
            "of the service's unit"
        )


def _add_algorithms(names: tuple[str, ...]) -> None:
    """Proofs may take algorithms of other packages. Raises `StartError`."""
    if not names:
        return
    # All of what finds providers, which few guards need.
    added = import_module("rhp.spi.added")
    find = import_module("rhp.spi.find")
    try:
        added.add_algorithms(names)
    except find.ProviderError as error:
        raise StartError(str(error)) from error
    # What the node may have signed and proven is as long as the functions make it.
    for prf in prfs():
        shape.add_prf(prf.id, prf.output_bytes)


@contextmanager
def _running(hooks: tuple[HookPolicy, ...]) -> Iterator[HookRunner | None]:
    """What runs hooks, where there are any; begun while this is root."""
    if not hooks:
        yield None
        return
    from rhp.guard.hooks.dispatch import HookRunner

    runner = HookRunner(hooks)
    try:
        yield runner
    finally:
        runner.end()


async def _serve(
    child: Child, guard: LocalGuard, brief: Brief, log: EventLog, manager: Manager, runner: HookRunner | None
) -> int:
    if runner is None:
        return await Guardian(child, guard, brief, log, manager).serve()
    from rhp.guard.hooks.dispatch import Hooks

    return await Guardian(child, guard, brief, log, manager, Hooks(brief.policy.hooks, runner.channel, log)).serve()


def preload(policy: GuardPolicy) -> None:
    """Import what is otherwise imported when it is needed: later this may be a user that cannot read the files."""
    if policy.firewall.tabled:
        nftables.load()
    for name in ("pyroute2", "pytun", "rhp.guard.steering"):
        import_module(name)


class Guardian:
    """Serves one node until it has ended, and takes back what was done for it."""

    def __init__(
        self,
        child: Child,
        guard: LocalGuard,
        brief: Brief,
        log: EventLog,
        manager: Manager,
        hooks: Hooks | None = None,
    ) -> None:
        self._hooks = hooks
        self._child = child
        self._guard = guard
        guard.adopted = _follow
        self._log = log
        self._service = Service(child.channel, guard, brief.policy, log, self._hung_up, self._told)
        self._supervision = Supervision(manager, self._service.tell)
        self._loop = asyncio.get_running_loop()
        self._deadline: asyncio.TimerHandle | None = None
        self._round = self._loop.call_later(ROUND, self._look_after)

    async def serve(self) -> int:
        """Answer until the node has ended; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        self._loop.add_signal_handler(signal.SIGHUP, self._service.tell, Reload("SIGHUP"))
        self._service.start()
        status = await self._child.wait()
        self._round.cancel()
        meant = self._supervision.ending
        if self._deadline is not None:
            self._deadline.cancel()
        self._supervision.stopping()
        self._supervision.close()
        await self._service.close()
        if self._hooks is not None:
            await self._hooks.finish(PATIENCE)
        answer = await self._guard.ask(ReleaseAll())
        if isinstance(answer, Refused):
            self._log.write("shutdown incomplete", reason="release", detail=answer.reason)
        return self._judge(status, meant)

    def _told(self, question: ServiceQuestion) -> Answer:
        if isinstance(question, RunHook):
            return self._hooks.run(question) if self._hooks is not None else Done()
        return self._supervision.told(question)

    def _look_after(self) -> None:
        self._round = self._loop.call_later(ROUND, self._look_after)
        detail = self._guard.keep_guarded()
        if detail is not None:
            self._log.write("firewall removed", detail=detail)

    def _stop(self, why: str) -> None:
        self._supervision.stopping()
        self._service.tell(Stop(why))
        self._expect_end()

    def _hung_up(self, why: str) -> None:
        """The node closed its end, or is not to be listened to any more."""
        if why == "gone":
            self._expect_end()
        else:
            self._log.write("node given up", reason=why)
            self._child.kill()

    def _expect_end(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(PATIENCE, self._child.kill)

    def _judge(self, status: int, meant: bool) -> int:
        """What the node ended with, where that can be: it must not decide that the service stays down."""
        if status == exits.DONE and meant:
            return exits.DONE
        if status == exits.NOT_STARTED and not self._supervision.served:
            return exits.NOT_STARTED  # It said why.
        why = f"it was ended by {_signal(-status)}" if status < 0 else f"it ended with status {status}"
        self._log.write("node died", pid=self._child.pid, detail=f"{why}; everything it had has been taken back")
        return exits.NODE_DIED


def _signal(number: int) -> str:
    """Its name; most real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _follow(brief: Brief) -> None:
    """The guard's own lines go by the configuration that is in force."""
    set_levels(brief.log_level, dict(brief.log_levels))
