"""What the guard looks at before it does anything for another process: is this a question that a sound node asks?

The rooms behind it refuse what the machine does not allow, and what the policy says of interfaces, bridges and assigned
addresses. Here stands what only matters once the asker may be somebody else's: what is signed, and which addresses,
ports and routes the configuration knows of. Whatever is `Forbidden` a sound node never asks, whatever its peers send
it. Nothing that a peer decides, such as the length of its name or the number of its hashes, may make it so, or peers
could slow the guard down.
"""

from __future__ import annotations

from collections.abc import Collection

from rhp.guard import addresses, shape
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import (
    STATES,
    AddRoute,
    AddTapQueue,
    CheckPsk,
    ConfigureLink,
    FingerprintSecrets,
    IdentityPair,
    MixPpk,
    OpenTap,
    OpenUdp,
    ProvePsk,
    Question,
    RunHook,
    SignOctets,
    TellAlive,
    TellState,
)

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # What a gateway listens to.
_LONGEST_TEXT = 256
_LONGEST_ID = 4096
_MAC_OCTETS = 6
_LARGEST_MTU = 65535
_LARGEST_ID_TYPE = 255
_MOST_TUNNELS = 1 << 24
_LARGEST_BEAT = (1 << 32) - 1


class Forbidden(Exception):
    """The question may not be asked; the message is one sentence without a secret in it."""


class Unfit(Forbidden):
    """The same, where a peer's strange message might be the reason."""


class Checks:
    """The policy, as questions are held against it."""

    def __init__(self, policy: GuardPolicy) -> None:
        self._proving = frozenset(item.connection for item in policy.psks)
        self._signing = frozenset(item.connection for item in policy.keys)
        self._mixing = frozenset((item.connection, item.ppk_id) for item in policy.ppks)
        self._addresses = None if policy.addresses is None else frozenset(map(addresses.interface, policy.addresses))
        self._ports = policy.ports
        self._reach = None if policy.reach is None else [addresses.network(one) for one in policy.reach]
        self._queue_lengths, self._segments = policy.queue_lengths, policy.segments
        self._lanes = policy.lanes
        self._hooked = frozenset(event for hook in policy.hooks for event in hook.on)

    def check(self, question: Question) -> None:
        """Raise `Forbidden` for a question that no sound node asks."""
        match question:
            case SignOctets():
                self._sign(question)
            case ProvePsk() | CheckPsk():
                self._prove(question)
            case MixPpk():
                self._mix(question)
            case FingerprintSecrets(connection):
                _text(connection)
            case OpenTap(name, queues):
                _text(name)
                _require(1 <= queues <= self._lanes, "more queues than there may be lanes")
            case AddTapQueue(name):
                _text(name)
            case OpenUdp(address, port):
                _require(address in ANY_ADDRESS, "a socket at one address")
                _require(self._ports is None or port in self._ports, "a port that is not in the configuration")
            case ConfigureLink():
                self._link(question)
            case AddRoute():
                self._route(question)
            case RunHook(event):
                _require(event in self._hooked, "a hook that is not in the configuration")
            case TellState(state):
                _require(state in STATES[1:], "to be something that no node is")
            case TellAlive(beat, tunnels):
                _require(0 <= tunnels <= _MOST_TUNNELS and 0 < beat <= _LARGEST_BEAT, "to live impossibly")

    def _sign(self, question: SignOctets) -> None:
        _require(question.connection in self._signing, "a signature for a connection that has no private key")
        _looks_like_auth(question.octets)

    def _prove(self, question: ProvePsk | CheckPsk) -> None:
        _require(question.connection in self._proving, "a proof for a connection that has no pre-shared key")
        _identity(question.local_id)
        _require(question.prf_id in shape.PRF_OCTETS, "a proof by an unknown function")
        # What is compared says no more than yes or no, and the peer's own message is in it.
        wrong = Unfit if isinstance(question, CheckPsk) else Forbidden
        _looks_like_auth(question.octets, question.prf_id, wrong)

    def _mix(self, question: MixPpk) -> None:
        known = (question.connection, question.ppk_id) in self._mixing
        _require(known, "a post-quantum preshared key that is not in the configuration")
        octets = shape.PRF_OCTETS.get(question.prf_id, 0)
        keys = (question.sk_d, question.sk_pi, question.sk_pr)
        _require(all(len(key) == octets for key in keys), "to mix something that is no key of an IKE SA")

    def _link(self, question: ConfigureLink) -> None:
        _require(question.mtu is None or 0 < question.mtu <= _LARGEST_MTU, "an impossible MTU")
        _require(question.mac is None or len(question.mac) == _MAC_OCTETS, "an impossible MAC address")
        _require(_among(question.queue_length, self._queue_lengths), "a length of the queue that is not configured")
        _require(_among(question.segments, self._segments), "segments that are not configured")
        if self._addresses is not None:
            given = frozenset(map(_interface, question.addresses))
            _require(given <= self._addresses, "an address that is not in the configuration")

    def _route(self, question: AddRoute) -> None:
        if self._reach is None:
            return
        try:
            wanted = addresses.network(question.destination)
        except ValueError:
            raise Forbidden("the node asked for a route to what is no network") from None
        for one in self._reach:
            # Only networks of one version can be compared.
            inside = wanted.version == one.version and wanted.network_address in one
            if inside and wanted.prefixlen >= one.prefixlen:
                return
        raise Forbidden("the node asked for a route to what is not in the configuration")


def _looks_like_auth(octets: bytes, prf_id: int | None = None, wrong: type[Forbidden] = Forbidden) -> None:
    fault = shape.fault(octets, prf_id)
    if fault is not None:
        raise wrong(f"the node asked for a proof of octets that no AUTH payload covers: {fault}")


def _identity(pair: IdentityPair) -> None:
    number, data = pair
    _require(0 <= number <= _LARGEST_ID_TYPE and len(data) <= _LONGEST_ID, "a proof for an impossible identity")


def _among(value: int | None, known: Collection[int] | None) -> bool:
    return value is None or known is None or value in known


def _interface(text: str) -> object:
    try:
        return addresses.interface(text)
    except ValueError:
        raise Forbidden("the node asked for an address that is none") from None


def _text(text: str) -> None:
    _require(len(text) <= _LONGEST_TEXT, "something with too long a name")


def _require(fine: bool, what: str) -> None:
    if not fine:
        raise Forbidden(f"the node asked for {what}")
