"""The guard's work in one process: secrets and network administration behind the questions of `rhp.guard.protocol`."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from rhp.guard.brief import Brief, Shares
from rhp.guard.generations import Generations, Read
from rhp.guard.given import GivenSockets
from rhp.guard.kept import KeptTaps
from rhp.guard.network import NetworkAdministration
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    AdoptConfiguration,
    Answer,
    CheckPsk,
    Done,
    FingerprintSecrets,
    MixPpk,
    NetworkQuestion,
    ProvePsk,
    Question,
    ReadConfiguration,
    Refused,
    RunHook,
    SignOctets,
    TellAlive,
    TellState,
)
from rhp.guard.secrets import SecretStore

_NO_FILE = Refused("this node was not started from a configuration file")


class LocalGuard:
    """Answers in this process.

    Loads the secrets at once and raises `SecretsError`, whose `problems` hold one sentence for every mistake. With
    `read` the configuration can be read again; `first` is what the policy comes from. `kept` and `given` are what a
    service manager has for us. `adopted` hears of each configuration that is in force from then on.
    """

    def __init__(
        self,
        policy: GuardPolicy,
        read: Read | None = None,
        first: Shares | None = None,
        *,
        kept: KeptTaps | None = None,
        given: GivenSockets | None = None,
    ) -> None:
        self._secrets = SecretStore(policy)
        self._network = NetworkAdministration(policy, kept, given)
        self._generations: Generations | None = None
        if read is not None and first is not None:
            self._generations = Generations(read, first, self._secrets)
        self.adopted: Callable[[Brief], None] = lambda brief: None

    @property
    def policy(self) -> GuardPolicy:
        """What it goes by now."""
        return self._network.policy

    def keep_guarded(self) -> str | None:
        """See to the firewall, which others may have removed: what was done, or why it could not be."""
        return self._network.keep_guarded()

    async def recover(self) -> Answer:
        """Take back what an earlier run left on this machine; before the first question. `Done` or `Refused`."""
        return await self._network.recover()

    async def ask(self, question: Question) -> Answer:
        """Answer one question; `Refused` for what cannot be or may not be."""
        answer = self.secret(question)
        if answer is not None:
            return answer
        match question:
            case ReadConfiguration():
                return await self._generations.read(question) if self._generations is not None else _NO_FILE
            case AdoptConfiguration():
                return self._adopt(self._generations, question) if self._generations is not None else _NO_FILE
        return await self._network.answer(cast("NetworkQuestion", question))

    def secret(self, question: Question) -> Answer | None:
        """The answer to a question about secrets, which takes no waiting; None for one about the network."""
        match question:
            case SignOctets():
                return self._secrets.sign(question)
            case ProvePsk():
                return self._secrets.prove(question)
            case CheckPsk():
                return self._secrets.check(question)
            case MixPpk():
                return self._secrets.mix(question)
            case FingerprintSecrets():
                return self._secrets.fingerprint(question)
            case TellState() | TellAlive() | RunHook():
                # Whoever has the node in one process with its guard knows how it is, and runs no programs.
                return Done()
        return None

    def _adopt(self, generations: Generations, question: AdoptConfiguration) -> Answer:
        # Whoever has flushed all of nftables puts ours back by a reload too. A node without it serves no new file.
        firewall = self._network.guard_again()
        if isinstance(firewall, Refused):
            return firewall
        answer = generations.adopt(question)
        if isinstance(answer, Done):
            self._secrets = generations.current.secrets
            self._network.policy = generations.current.brief.policy
            self.adopted(generations.current.brief)
        return answer
