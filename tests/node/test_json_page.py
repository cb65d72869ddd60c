"""docs/json.md: every command that prints JSON has a section, and the section names what is printed, field by field."""

import asyncio
import contextlib
import json
import re
import sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import click
import pytest
from looked_rig import Looked

from rhp.cli.main import COMMANDS, main
from rhp.guard.policy import PskSecret
from rhp.ike.config import EngineConfig
from rhp.node.vocabulary import FIELDS
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern
from rhp.realm.pool import PoolConfig, Span

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from json_page import PAGE, compare, documented

GATE, ANNA = "gate.example.org", "anna@example.org"
KEY = b"0123456789abcdef"
POOL = PoolConfig("staff", (Span(ip_address("10.88.0.2"), ip_address("10.88.0.9")),), 24)


def printing(command, path=("rhp",)):
    """Every command below this one that takes -o json, as it is typed."""
    if any(isinstance(one.type, click.Choice) and "json" in one.type.choices for one in command.params):
        yield " ".join(path)
    if isinstance(command, click.Group):
        names = COMMANDS if command is main else command.commands
        for name in names:
            yield from printing(command.get_command(click.Context(command), name), (*path, name))


def test_every_command_that_prints_json_has_a_section_and_no_other():
    titles = re.findall(r"^## `(rhp .+?)`$", PAGE.read_text(), re.MULTILINE)
    commands = list(printing(main))
    assert "rhp config check" in commands
    assert [one for one in commands if one not in titles] == []
    # An option that shows something else has a section of its own.
    assert [one for one in titles if one.partition(" --")[0] not in commands] == []


def test_the_page_names_every_field_that_is_printed(looked):
    async def body(node):
        for command, more in (
            ("peers", ()),
            ("sas", ()),
            ("hub", ()),
            ("watch", ("--count", "1", "--interval", "0.1")),
            ("log", ()),
        ):
            compare(f"rhp {command}", await node.told(command, *more))
        compare("rhp status", [json.loads(await node.rhp("status", "-o", "json"))])
        for option in ("--lanes", "--totals"):
            compare(f"rhp status {option}", [json.loads(await node.rhp("status", option, "-o", "json"))])
        compare("rhp doctor", await _checked(node, "doctor"))
        compare("rhp check", await _checked(node, "check"))
        compare("rhp config check", await _checked(node, "config", "check"))

    looked(body)


async def _checked(node, *command):
    """Whatever is found: this configuration is none, and has a mistake."""
    result = await asyncio.to_thread(node._call, *command, "-o", "json")
    assert result.exit_code in (2, 4)
    with contextlib.suppress(KeyError):
        assert result.output.startswith('{"schema_version": 1')
    return [json.loads(result.output)]


def test_the_page_names_every_field_of_an_event(looked):
    async def body(node):
        task = asyncio.create_task(node.told("events"))
        while not node.server.followed:
            await asyncio.sleep(0.001)
        node.rig.keeper.start()
        await node.wire.settle(lambda: node.rig.named("ChildEstablished"))
        while not all(one.queue.empty() for one in node.server._followers):
            await asyncio.sleep(0.001)
        await node.server.close()
        told = await task
        names = [name for name in documented("rhp events") if name != "*"]
        assert {"event", "time"} < set(names)
        assert {name for one in told for name in one} <= {*names, *FIELDS}

    looked(body, up=False)


@pytest.fixture
def realmed(make_connection, make_rig, make_wire, run, tmp_path):
    """Run `body(looked)` at a gateway with a realm, one peer in it, and a pool of which one address is lent."""

    def go(body):
        async def serve():
            staff = replace(
                make_connection("staff", GATE, "%any"),
                match=(IdentityPattern.rule("*@example.org"),),
                pools=("staff",),
            )
            gate = make_rig((staff,), (PskSecret("staff", key=KEY),), address="192.0.2.254")
            gate.engine.set_config(EngineConfig((staff,), pools=(POOL,)))
            calls = make_connection("gate", ANNA, GATE, "192.0.2.254")
            anna = make_rig((calls,), (PskSecret("gate", key=KEY),), address="192.0.2.1")
            wire = make_wire(gate, anna)
            try:
                async with Looked(gate, wire, tmp_path, (staff,)) as node:
                    anna.keeper.start()
                    await wire.settle(lambda: gate.named("ChildEstablished") and anna.named("ChildEstablished"))
                    gate.engine._ctx.pools.take(("staff",), parse_identity(ANNA), 4)
                    await body(node)
            finally:
                await gate.close()
                await anna.close()

        run(serve(), 60)

    return go


def test_the_page_names_what_is_told_of_realms_leases_and_totals(realmed):
    async def body(node):
        for command, what in ((("realms",), "peers"), (("leases",), "leases"), (("status", "--totals"), "totals")):
            told = json.loads(await node.rhp(*command, "-o", "json"))
            # Of an empty list the comparison would see nothing.
            assert len(told[what]) == 1
            compare(f"rhp {' '.join(command)}", [told])
        realms = json.loads(await node.rhp("realms", "-o", "json"))
        assert [len(realms[name]) for name in ("realms", "pools")] == [1, 1]
        assert realms["peers"][0]["realm"] == "staff"

    realmed(body)
