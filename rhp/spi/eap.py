"""EAP method: one way to prove oneself inside EAP (RFC 3748), as peer and as server, without any I/O.

A method is in three parts. The **peer** and the **server** take the type-data of EAP requests and responses (the octets
behind the type) and say what comes next; they run where the network is parsed and hold no long-term secret. What needs
the secret they ask of the **keeper**, which runs where secrets are kept: question and answer are octets whose form is
the method's own. The EAP header, identifiers, retransmission, Identity, Nak and fragments of EAP itself are the
caller's; so are Success and Failure, which follow from `Done` and `Refuse`.

    server                       keeper         peer                         keeper
    begin() -> Send(request) ------------------> take(request) -> Ask(what) ---> answer(what)
    take(response) <---------------------------- told(answer) -> Send(response)
      -> Ask(what) --> answer(what)
    told(answer) -> Done(msk) or Refuse(reason)

The entry point (group `rhp.eap`) names an object with `api_version`, `type`, `peer`, `server` and `keeper`, see
`EapProvider`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rhp.crypto.secret import Secret

LONGEST = 1020
"""Octets of type-data that the caller carries at most; a method that needs more fragments within itself."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this type-data: a request as server, a response as peer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the keeper answer this, then call `told`; nothing is sent meanwhile."""

    what: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """The method has succeeded. `msk` is its key, 64 octets (RFC 3748 section 7.10), None where the method has none."""

    msk: Secret | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The method has failed; `reason` is one sentence without a secret in it."""

    reason: str


Step = Send | Ask | Done | Refuse


class MethodRefused(Exception):
    """What a keeper raises for a question that it does not answer; the text is one sentence."""


class EapPeer(Protocol):
    """One run of a method as the one who proves itself. A peer is never done by itself: EAP-Success ends it."""

    def take(self, request: bytes) -> Send | Ask | Refuse:
        """The type-data of a request came; it may be anything at all."""
        ...

    def told(self, answer: bytes | None) -> Send | Ask | Refuse:
        """The keeper's answer, None where it refused."""
        ...

    def key(self) -> Secret | None:
        """The MSK once the server says Success; None where the method has none, or has not come to its end."""
        ...


class EapServer(Protocol):
    """One run of a method as the one who is convinced, or not."""

    def begin(self) -> Send | Ask:
        """The first request."""
        ...

    def take(self, response: bytes) -> Step:
        """The type-data of a response came; it may be anything at all."""
        ...

    def told(self, answer: bytes | None) -> Step:
        """The keeper's answer, None where it refused."""
        ...


class EapKeeper(Protocol):
    """The secret's side of a method, for one identity. It may remember, such as which codes were used up."""

    def answer(self, what: bytes, now: float) -> bytes:
        """Answer one question at the time `now` (seconds since 1970); raises `MethodRefused`."""
        ...

    def wipe(self) -> None:
        """Overwrite the secret."""
        ...


class EapProvider(Protocol):
    """What the entry point names: one method."""

    @property
    def api_version(self) -> int:
        """The version of this page that it was written for."""
        ...

    @property
    def type(self) -> int:
        """The method's EAP type, 4 to 253 (RFC 3748 section 5)."""
        ...

    @property
    def derives_key(self) -> bool:
        """Whether the method ends with an MSK; without one it does not bind AUTH (RFC 7296 section 2.16)."""
        ...

    def peer(self, identity: str) -> EapPeer:
        """A run as peer, under the name that was given in EAP-Identity."""
        ...

    def server(self, identity: str) -> EapServer:
        """A run as server, with a peer that gave this name."""
        ...

    def keeper(self, secret: Secret) -> EapKeeper:
        """The side that holds the secret of one identity, which becomes the keeper's; ValueError for one of no use."""
        ...
