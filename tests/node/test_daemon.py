"""Whole nodes in this process, without root: real lanes and sockets on loopback, a socket pair in place of a TAP."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import stat
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest
from daemon_rig import FRAME, picture, received, serving
from loopback import until
from metrics_rig import get

from rhp.guard.protocol import ConfigureLink, OpenTap, ReleaseAll
from rhp.node.control.client import ask
from rhp.node.control.protocol import Request
from rhp.node.daemon import Node
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.metrics.address import TcpAddress, UnixAddress
from rhp.node.preflight import RunFolder


def test_two_nodes_carry_a_frame_and_part_in_order(configured, run):
    async def body():
        a, b = configured("a"), configured("b")
        async with serving(*b) as (_, task_b):
            async with serving(*a):
                await until(lambda: a[2].cables and b[2].cables)

                async def both():
                    return [(await picture(one[0]))["connections"][0] for one in (a, b)]

                while not all(one["children"] for one in await both()):
                    await asyncio.sleep(0.01)
                for _ in range(3):
                    a[2].cables[0].send(FRAME)
                assert await until(lambda: received(b[2].cables[0])) == FRAME
                ours, theirs = await both()
                # What has come out at the other end may be counted a moment later, here and there.
                while not (ours["children"][0]["packets_out"] and theirs["children"][0]["bytes_in"]):
                    await asyncio.sleep(0.01)
                    ours, theirs = await both()
                assert (ours["state"], theirs["state"]) == ("established", "established")
                assert (ours["role"], theirs["role"]) == ("initiator", "responder")
                assert (ours["peer"], theirs["peer"]) == ("b.example", "a.example")
                assert ours["ike_spi_i"] == theirs["ike_spi_i"]
                assert len(ours["ike_spi_i"]) == 16
                assert ours["established_ms"] > 0
                (child,), (mirror,) = ours["children"], theirs["children"]
                assert (child["spi_in"], child["spi_out"]) == (mirror["spi_out"], mirror["spi_in"])
                assert child["encapsulation"] == "udp"
                assert child["packets_out"] >= 1
                assert mirror["bytes_in"] >= len(FRAME)
                shown = await picture(a[0])
                assert shown["schema_version"] == 1
                assert "02:00:00:00:00:01" in {one["mac"] for one in shown["macs"]}
                assert shown["interface"]["present"] is False
                assert json.dumps(shown)
                assert "0123456789abcdef" not in json.dumps(shown)
            # The farewell of a reaches b, which goes on waiting.
            async with asyncio.timeout(60):
                while (await picture(b[0]))["connections"][0]["state"] != "idle":
                    await asyncio.sleep(0.01)
            assert not task_b.done()
        for settings, _, guard in (a, b):
            assert guard.asked[-1] == ReleaseAll()
            assert not settings.control_socket.exists()

    run(body())


@pytest.mark.parametrize(("address", "doubled"), [("10.255.254.1/24", True), ("10.255.254.2/24", False)])
def test_an_address_that_another_interface_has_is_told(configured, run, monkeypatch, address, doubled):
    told = []
    real = Journal.write
    monkeypatch.setattr("rhp.node.tap.addresses_now", lambda: (ip_address("10.255.254.1"),))
    monkeypatch.setattr(
        Journal, "write", lambda self, words, **fields: told.append((words, fields)) or real(self, words, **fields)
    )

    async def body():
        settings, config, guard = configured("b")
        interface = replace(settings.interface, addresses=(ip_interface(address),))
        async with serving(replace(settings, interface=interface), config, guard) as (node, _):
            assert node._state == "running"

    run(body())
    found = [fields for words, fields in told if words == "address doubled"]
    assert len(found) == doubled
    assert all(one["detail"].startswith("another interface of this machine has 10.255.254.1; write") for one in found)


def test_where_a_peer_may_be_is_asked_of_its_own_connection_alone(configured, run, monkeypatch):
    async def body():
        a, b = configured("a"), configured("b")
        async with serving(*b), serving(*a) as (node, _):
            (lineage,) = await until(lambda: list(node._children))
            asked, told = [], node._engine.status
            monkeypatch.setattr(node._engine, "status", lambda *names: asked.append(names) or told(*names))
            (sa,) = told("cable")
            found = node._ends(lineage)
            monkeypatch.undo()
            assert found == [ip_address("127.0.0.1"), *sa.peer_addresses]
            assert asked == [("cable",)]

    run(body())


def test_a_wrong_key_is_told_by_both_nodes(configured, run):
    async def body():
        a, b = configured("a"), configured("b", psk=b"fedcba9876543210")
        async with serving(*b), serving(*a):
            for settings, name, peer in ((a[0], "cable", "b.example"), (b[0], "cable", "a.example")):
                error = None
                while not error:
                    shown = await picture(settings)
                    error = next(one["last_error"] for one in shown["connections"] if one["name"] == name)
                    await asyncio.sleep(0.01)
                assert error.startswith(f"authentication failed: {peer}: ")
                assert shown["failures"][0]["event"] == "authentication failed"

    run(body())


@pytest.mark.parametrize("refused", ["OpenUdp", "OpenTap", "ConfigureLink"])
def test_a_start_that_fails_leaves_nothing(configured, run, refused, caplog):
    caplog.set_level("INFO", "rhp")

    async def body():
        settings, config, guard = configured("a", refuse=refused)
        before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
        node = Node(settings, config, guard)
        with pytest.raises(StartError, match=f"{refused} is refused here"):
            await node.serve()
        guard.close()
        assert not settings.control_socket.exists()
        assert guard.asked[-1] == ReleaseAll()
        assert "guard refused" not in caplog.text
        await asyncio.sleep(0)
        return before, set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = run(body())
    assert len(after) <= len(before)


def test_two_nodes_on_one_state_folder(configured, run):
    async def body():
        first, (settings, config, guard) = configured("a"), configured("b")
        async with serving(*first):
            node = Node(replace(settings, state_dir=first[0].state_dir), config, guard)
            with pytest.raises(StartError, match=f"another node keeps its state in {first[0].state_dir}; end that one"):
                await node.serve()
            assert guard.asked == [ReleaseAll()]
        guard.close()

    run(body())


def test_totals_and_leases_outlive_the_node(configured, run):
    async def body():
        a, b = configured("a"), configured("b")
        for handshakes in (1, 2):
            async with serving(*b):
                async with serving(*a):

                    async def totals(node=a):
                        found = await asyncio.to_thread(ask, node[0].control_socket, Request("totals"))
                        return {one["connection"]: one for one in found["totals"]}

                    async with asyncio.timeout(60):
                        while (await totals()).get("cable", {}).get("handshakes") != handshakes:
                            await asyncio.sleep(0.01)
                    await until(lambda: a[2].cables)
                    a[2].cables[-1].send(FRAME)
                    async with asyncio.timeout(60):
                        while (await totals())["cable"]["packets_out"] < handshakes:
                            await asyncio.sleep(0.01)
                        while (await totals(b))["cable"]["packets_in"] < handshakes:
                            await asyncio.sleep(0.01)
                shown = await asyncio.to_thread(ask, b[0].control_socket, Request("leases"))
                assert shown["leases"] == []
        assert (a[0].state_dir / "state.db").exists()
        # The log went into the file, and nothing lies about.
        assert not (a[0].state_dir / "state.db-wal").exists()

    run(body())


@pytest.mark.parametrize("text", [None, "1 / 0", "import nothing_of_that_name"])
def test_an_extension_that_cannot_be_loaded_is_one_sentence(configured, run, tmp_path, monkeypatch, text):
    monkeypatch.syspath_prepend(str(tmp_path))
    if text is not None:
        (tmp_path / "ext_broken.py").write_text(text)

    async def body():
        settings, config, guard = configured("a")
        before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with pytest.raises(StartError, match='"ext_broken"'):
            Node(settings, replace(config, extensions=("ext_broken",)), guard)
        assert guard.asked == []
        return before, set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = run(body())
    assert after <= before


def test_a_run_folder_that_cannot_be_used_is_one_sentence(configured, run):
    async def body():
        settings, config, guard = configured("a")
        node = Node(replace(settings, run_dir=settings.run_dir / "none"), config, guard)
        with pytest.raises(StartError, match="control socket"):
            await node.serve()
        assert guard.asked == []

    run(body())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_node(configured, number):
    async def body():
        settings, config, guard = configured("b")
        node = Node(settings, config, guard)
        asyncio.get_running_loop().add_signal_handler(number, node.stop, signal.Signals(number).name)
        task = asyncio.create_task(node.serve())
        await until(settings.control_socket.exists)
        await until(lambda: guard.cables)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 60)
        guard.close()
        assert guard.asked[-1] == ReleaseAll()

    before = signal.getsignal(number)
    try:
        asyncio.run(asyncio.wait_for(body(), 120))
    finally:
        # The loop leaves SIGTERM to the kernel, and with it the end of the tests.
        signal.signal(number, before)


def test_down_ends_the_node_and_returns_when_all_is_taken_back(configured, run):
    from rhp.node.control.client import stop

    async def body():
        settings, config, guard = configured("b")
        async with serving(settings, config, guard) as (_, task):
            await asyncio.to_thread(stop, settings.control_socket)
            assert guard.asked[-1] == ReleaseAll()
            await asyncio.wait_for(task, 60)

    run(body())


def test_commands_reach_the_engine(configured, run):
    from rhp.node.control.client import ControlError

    async def body():
        a, b = configured("a"), configured("b")

        async def command(name, **fields):
            return await asyncio.to_thread(ask, a[0].control_socket, Request(name, fields))

        async def connection():
            return (await picture(a[0]))["connections"][0]

        async def wait_for(condition):
            async with asyncio.timeout(60):
                while not condition(found := await connection()):
                    await asyncio.sleep(0.01)
            return found

        async with serving(*b), serving(*a) as (node, _):
            first = await wait_for(lambda one: one["children"])
            assert await command("rekey-child", connection="cable", child="ethernet") == {"children": 1}
            await wait_for(lambda one: one["children"][0]["spi_in"] != first["children"][0]["spi_in"])
            assert await command("rekey-ike", connection="cable") == {"rekeyed": 1}
            rekeyed = await wait_for(lambda one: one["ike_spi_i"] != first["ike_spi_i"])
            assert rekeyed["ike_id"] == first["ike_id"]
            assert await command("delete-child", connection="cable", child="ethernet") == {"children": 1}
            await wait_for(lambda one: not one["children"])
            assert await command("terminate", connection="cable") == {"ended": 1}
            await wait_for(lambda one: one["state"] == "idle")
            with pytest.raises(ControlError, match="not established"):
                await command("rekey-ike", connection="cable")
            with pytest.raises(ControlError, match='no connection "other"; there is cable'):
                await command("initiate", connection="other")
            await command("redirect", connection="cable", target="Gate.Example.Org")
            assert (await connection())["redirects_to"] == "gate.example.org"
            await command("redirect-off", connection="cable")
            assert (await connection())["redirects_to"] is None
            await command("initiate", connection="cable")
            await wait_for(lambda one: one["state"] == "established" and one["children"])
            node_state, node._state = node._state, "ending"
            with pytest.raises(ControlError, match="the node is ending"):
                await command("status")
            node._state = node_state
            with pytest.raises(ControlError, match='no child "x"'):
                await command("rekey-child", connection="cable", child="x")
            assert (await picture(a[0]))["counters"]["node"]["command"] >= 6

    run(body())


def test_a_tap_that_vanishes_is_made_again(configured, run, monkeypatch):
    monkeypatch.setattr("rhp.node.tap.RETRY_SECONDS", 0.05)

    async def body():
        a, b = configured("a"), configured("b")
        async with serving(*b), serving(*a) as (node, _):
            while not (await picture(a[0]))["connections"][0]["children"]:
                await asyncio.sleep(0.01)
            node._hubs.lost(0, 0, 5)
            node._hubs.lost(0, 0, 5)
            await until(lambda: len(a[2].cables) == 2)
            await until(lambda: node._hubs.own.tap._restoring is None)
            assert [type(one) for one in a[2].asked].count(OpenTap) == 2
            assert [type(one) for one in a[2].asked].count(ConfigureLink) == 2
            for _ in range(3):
                a[2].cables[1].send(FRAME)
            assert await until(lambda: received(b[2].cables[0])) == FRAME
            counters = (await picture(a[0]))["counters"]["node"]
            assert counters["tap-lost"] == 1
            assert counters["tap-restored"] == 1

    run(body())


def test_strangers_change_nothing(configured, run):
    async def body():
        a, b = configured("a"), configured("b")
        async with serving(*b), serving(*a):
            while not (await picture(a[0]))["connections"][0]["children"]:
                await asyncio.sleep(0.01)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for number in range(300):
                    for port in (a[0].port, a[0].natt_port):
                        stranger.sendto(os.urandom(number % 200), ("127.0.0.1", port))
                        stranger.sendto(bytes(4) + os.urandom(number % 200), ("127.0.0.1", port))
            await asyncio.sleep(0.1)
            shown = await picture(a[0])
            assert shown["connections"][0]["state"] == "established"
            for _ in range(3):
                a[2].cables[0].send(FRAME)
            assert await until(lambda: received(b[2].cables[0])) == FRAME

    run(body())


def test_the_socket_is_its_owner_s(configured, run):
    async def body():
        settings, config, guard = configured("b")
        async with serving(settings, config, guard):
            assert stat.S_IMODE(settings.control_socket.stat().st_mode) == 0o600

    run(body())


def test_a_second_node_in_a_run_folder_is_refused(tmp_path):
    with RunFolder(tmp_path), pytest.raises(StartError, match=f"process {os.getpid()}.*rhp down"), RunFolder(tmp_path):
        pass
    with RunFolder(tmp_path):
        assert (tmp_path / "rhp.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_served_until_the_node_has_said_goodbye(configured, run, tmp_path, caplog):
    where = UnixAddress(tmp_path / "metrics.sock")
    states = set()

    async def scrape(task):
        while not task.done():
            with contextlib.suppress(OSError, http.client.HTTPException):
                states.add((await get(where, "/healthz")).text)
                await get(where, "/metrics")

    async def body():
        settings, config, guard = configured("a")
        async with serving(replace(settings, metrics=where), config, guard) as (node, task):
            # The peer is not there, so that the farewell takes its time.
            await until(lambda: node._engine.count() == 1)
            scraping = asyncio.create_task(scrape(task))
            await until(lambda: "running\n" in states)
            monitored = await get(where)
            assert 'rhp_connection_up{connection="cable"} 0.0' in monitored.text
            node.stop("test")
            await task
            await scraping
        assert states <= {"running\n", "stopping\n", "ending\n"}
        assert not where.path.exists()
        assert "Traceback" not in caplog.text and "metrics request failed" not in caplog.text

    run(body())


def test_metrics_that_cannot_be_served_stop_the_start_and_leave_nothing(configured, run):
    async def body():
        settings, config, guard = configured("a")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            where = TcpAddress(ip_address("127.0.0.1"), taken.getsockname()[1])
            taken.listen()
            with pytest.raises(StartError, match="metrics cannot be served at 127"):
                await Node(replace(settings, metrics=where), config, guard).serve()
        assert isinstance(guard.asked[-1], ReleaseAll)
        assert not settings.control_socket.exists()
        guard.close()

    run(body())
