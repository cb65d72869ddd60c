"""Questions and answers are plain data that prints no secret."""

import dataclasses
import pickle
import typing

import pytest

from rhp.guard import mistake, protocol
from rhp.guard.policy import GuardPolicy, PrivateKey, PskSecret

PLAIN = {int, str, bytes, bool, type(None)}


def plain(annotation):
    """Whether a type is made of numbers, text, octets and their tuples and sets."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return annotation in PLAIN or dataclasses.is_dataclass(annotation)
    return all(plain(part) for part in typing.get_args(annotation) if part is not Ellipsis)


CLASSES = [*typing.get_args(protocol.Question), *typing.get_args(protocol.Answer), GuardPolicy, PskSecret, PrivateKey]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_message_is_frozen_plain_data(cls):
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    for name, annotation in typing.get_type_hints(cls).items():
        assert plain(annotation), name


def test_messages_survive_a_journey():
    question = protocol.CheckPsk("office", (2, b"a"), (2, b"b"), 5, b"octets", b"auth")
    assert pickle.loads(pickle.dumps(question)) == question  # noqa: S301


def test_what_is_secret_or_long_is_not_printed():
    for message in (
        protocol.SignOctets("office", b"swordfish", None),
        protocol.ProvePsk("office", (2, b"a"), (2, b"b"), 5, b"swordfish"),
        protocol.CheckPsk("office", (2, b"a"), (2, b"b"), 5, b"swordfish", b"swordfish"),
        protocol.AuthData(2, b"swordfish"),
        protocol.FingerprintSecrets("office", b"swordfish"),
        protocol.Fingerprint(b"swordfish"),
        PskSecret("office", key=b"swordfish"),
        PrivateKey("office", pem=b"swordfish"),
        GuardPolicy(psks=(PskSecret("office", key=b"swordfish"),)),
    ):
        assert "swordfish" not in repr(message)


@pytest.mark.parametrize(("module", "ours"), [(mistake, set()), (protocol, {mistake.__name__})])
def test_the_protocol_needs_the_standard_library_only(module, ours):
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(module))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(imported) == {"__future__", "dataclasses"} | ours
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
