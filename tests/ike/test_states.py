"""The state tables: closed under themselves, with one way in and one way out."""

import ast
from ipaddress import ip_address
from pathlib import Path as File

import pytest

import rhp.ike
from rhp.ike.config import EngineConfig
from rhp.ike.context import Context
from rhp.ike.ike_sa import IkeSa
from rhp.ike.path import Endpoint, Path
from rhp.ike.states import ACCEPTED_REQUESTS, CHILD_TRANSITIONS, IKE_TRANSITIONS, ChildState, IkeState, diagram
from rhp.ike.upkeep import TimeKeeper

WAY = Path(Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("192.0.2.2"), 500), False)


@pytest.mark.parametrize(
    ("table", "states", "first", "last"),
    [
        (IKE_TRANSITIONS, IkeState, IkeState.CREATED, IkeState.CLOSED),
        (CHILD_TRANSITIONS, ChildState, ChildState.INSTALLED, ChildState.CLOSED),
    ],
)
def test_every_state_is_reached_and_left(table, states, first, last):
    assert set(table) == set(states)
    reached, todo = {first}, [first]
    while todo:
        for following in table[todo.pop()] - reached:
            reached.add(following)
            todo.append(following)
    assert reached == set(states)
    assert table[last] == frozenset()
    assert all(last in following for state, following in table.items() if state is not last)


def test_every_state_says_which_requests_it_takes():
    assert set(ACCEPTED_REQUESTS) == set(IkeState)
    assert ACCEPTED_REQUESTS[IkeState.CLOSED] == frozenset()


def test_a_transition_that_is_not_in_the_table_is_refused():
    ctx = Context(EngineConfig(), lambda: 256, lambda: None, bytes, TimeKeeper())
    sa = IkeSa(ctx, 1, "initiator", None, (b"12345678", bytes(8)), WAY, 0.0)
    sa.become(IkeState.CONNECTING)
    with pytest.raises(RuntimeError, match="from connecting to established"):
        sa.become(IkeState.ESTABLISHED)
    assert sa.state is IkeState.CONNECTING


@pytest.mark.parametrize("table", [IKE_TRANSITIONS, CHILD_TRANSITIONS])
def test_the_documented_diagram_is_the_table(table):
    page = File(__file__).parents[2] / "docs" / "ike-states.md"
    assert f"```mermaid\n{diagram(table)}\n```" in page.read_text()


def test_only_the_setters_set_a_state():
    places = set()
    for file in File(rhp.ike.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(one, ast.Attribute) and one.attr == "state":
                        places.add(file.name)
    assert places == {"ike_sa.py", "child_sa.py"}


def test_the_engine_reads_no_clock_and_opens_no_socket():
    for file in File(rhp.ike.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in {"time", "socket", "asyncio", "threading", "cryptography"}, file
                assert not name.startswith(("rhp.node", "rhp.config", "rhp.cli", "rhp.net", "rhp._fast")), file
