"""Notify payloads that tell of errors: which there are, and what they are called (RFC 7296 section 3.10.1)."""

from rhp.wire.iana import NotifyType
from rhp.wire.message import Message
from rhp.wire.notify import Notify


def first_error(message: Message) -> Notify | None:
    """The first error notify of a message, or None."""
    return next((notify for notify in message.all(Notify) if notify.is_error), None)


def notify_name(kind: int) -> str:
    """A notify type as a kebab-case name, "no-proposal-chosen".

    Those without a name share one, because names become counters and the peer must not choose how many there are.
    """
    try:
        return NotifyType(kind).name.lower().replace("_", "-")
    except ValueError:
        return "unknown-error"
