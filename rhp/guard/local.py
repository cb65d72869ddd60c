"""The guard in this process: secrets and network administration behind the same questions as the process to come."""

from __future__ import annotations

from rhp.guard.network import NetworkAdministration
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import Answer, CheckPsk, FingerprintSecrets, MixPpk, ProvePsk, Question, SignOctets
from rhp.guard.secrets import SecretStore


class LocalGuard:
    """Answers in this process.

    Loads the secrets at once and raises `SecretsError`, whose `problems` hold one sentence for every mistake.
    """

    def __init__(self, policy: GuardPolicy) -> None:
        self._secrets = SecretStore(policy)
        self._network = NetworkAdministration(policy)

    async def ask(self, question: Question) -> Answer:
        """Answer one question; `Refused` for what cannot be or may not be."""
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
            case _:
                return await self._network.answer(question)

    def update(self, policy: GuardPolicy) -> None:
        """Take over another policy's secrets and names; raises `SecretsError` and changes nothing when one is wrong."""
        secrets = SecretStore(policy)
        self._secrets.wipe()
        self._secrets = secrets
        self._network.policy = policy
