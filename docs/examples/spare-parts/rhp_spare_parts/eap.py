"""EAP-GTC (RFC 3748 section 5.6) with one-time passwords by time (TOTP, RFC 6238): six digits, each code good once.

The request holds a text to show, the response holds the code. Both sides' keepers have the same secret: the peer's
makes the code of the moment, the server's compares. The method derives no key and hides nothing from who listens, so it
is for use inside IKE, after the server has proved itself by a certificate (RFC 7296 section 2.16).
"""

import hmac
import struct

from rhp.crypto.secret import Secret
from rhp.spi.eap import Ask, Done, EapProvider, MethodRefused, Refuse, Send, Step

PROMPT = b"One-time password: "
PERIOD = 30
DIGITS = 6
SHORTEST = 16
MAKE, CHECK = b"make", b"check"
RIGHT, WRONG = b"right", b"wrong"
_LONGEST_PROMPT = 200
_TRIES = 3


class Peer:
    """Answers each request with the code of the moment."""

    def take(self, request: bytes) -> Ask | Refuse:
        """The text is for people; that there is one is all that counts here."""
        if not 0 < len(request) <= _LONGEST_PROMPT:
            return Refuse("the server's request is empty or too long")
        return Ask(MAKE)

    def told(self, answer: bytes | None) -> Send | Refuse:
        """The code, or none."""
        return Refuse("there is no code to give") if answer is None else Send(answer)

    def key(self) -> None:
        """GTC has none."""


class Server:
    """Asks until a code is right, three times at most."""

    def __init__(self) -> None:
        self._left = _TRIES

    def begin(self) -> Send:
        """The first request."""
        return Send(PROMPT)

    def take(self, response: bytes) -> Step:
        """Have the keeper look at what is a code at all."""
        if len(response) != DIGITS or not response.isdigit():
            return self._wrong()
        return Ask(CHECK + response)

    def told(self, answer: bytes | None) -> Step:
        """Right, wrong, or no answer."""
        if answer is None:
            return Refuse("the code could not be checked")
        return Done() if answer == RIGHT else self._wrong()

    def _wrong(self) -> Step:
        self._left -= 1
        return Send(PROMPT) if self._left else Refuse(f"none of {_TRIES} codes was right")


class Keeper:
    """Holds the secret, and remembers which period's code was used last: none is good twice (RFC 6238 section 5.2)."""

    def __init__(self, secret: Secret) -> None:
        if len(secret) < SHORTEST:
            raise ValueError(f"a secret for one-time passwords has at least {SHORTEST} octets (RFC 4226 section 4)")
        self._secret = secret
        self._last = -1

    def answer(self, what: bytes, now: float) -> bytes:
        """Make the code of `now`, or compare one with those of this period and its neighbours."""
        if not self._secret:
            raise MethodRefused("the secret is gone")
        period = int(now // PERIOD)
        if what == MAKE:
            return self._code(period)
        code = what.removeprefix(CHECK)
        if code == what:
            raise MethodRefused("that is no question of this method")
        for near in (period - 1, period, period + 1):
            if near > self._last and near >= 0 and hmac.compare_digest(self._code(near), code):
                self._last = near
                return RIGHT
        return WRONG

    def wipe(self) -> None:
        """Overwrite the secret."""
        self._secret.wipe()

    def _code(self, counter: int) -> bytes:
        """HOTP (RFC 4226 section 5.3)."""
        digest = hmac.digest(self._secret.expose(), struct.pack("!Q", counter), "sha1")
        start = digest[-1] & 15
        number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
        return b"%0*d" % (DIGITS, number % 10**DIGITS)


class Provider:
    """What the entry point names."""

    api_version = 1
    type = 6
    derives_key = False

    def peer(self, identity: str) -> Peer:
        """A run as peer; the code says who it is, so the name does not matter here."""
        return Peer()

    def server(self, identity: str) -> Server:
        """A run as server."""
        return Server()

    def keeper(self, secret: Secret) -> Keeper:
        """The secret's side."""
        return Keeper(secret)


PROVIDER: EapProvider = Provider()
