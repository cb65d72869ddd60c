"""Name servers that a peer assigned: told to what is there to be told, and taken back, whatever happens meanwhile."""

import asyncio
import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import SetDns
from rhp.guard.resolver import Resolver, ResolverError
from rhp.guard.resolvfile import KEPT, ResolvConf
from rhp.guard.undo import UndoLog

ORIGINAL = "# by hand\nsearch home.example\noptions timeout:1\nnameserver 192.0.2.53\n"
SERVERS = ("10.1.0.53", "fd01::53")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a resolv.conf and an empty PATH."""
    for name in ("bin", "etc", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "resolv.conf").write_text(ORIGINAL)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def resolver(machine, undo=None):
    policy = GuardPolicy(
        resolv_conf=str(machine / "etc" / "resolv.conf"),
        resolved=str(machine / "resolve"),
        state_dir=str(machine / "state"),
    )
    return Resolver(UndoLog() if undo is None else undo, policy)


def program(machine, name, status=0):
    """A program that notes how it was called, and what it was told."""
    path = machine / "bin" / name
    text = f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "{name} $*" >> {machine}/calls\n'
    path.write_text(text + f"cat >> {machine}/calls\n" + (f"echo no >&2\nexit {status}\n" if status else ""))
    path.chmod(0o755)


def calls(machine):
    noted = machine / "calls"
    return noted.read_text().splitlines() if noted.exists() else []


def conf(machine):
    return (machine / "etc" / "resolv.conf").read_text()


def put(one, servers=SERVERS, domains=()):
    asyncio.run(one.set(SetDns("rhp0", servers, domains)))


def clear(one):
    asyncio.run(one.clear("rhp0"))


def test_resolv_conf_is_written_and_put_back(machine):
    one = resolver(machine)
    put(one)
    lines = conf(machine).splitlines()
    assert lines[0].startswith("# Written by rhp for rhp0;")
    assert lines[1:] == ["nameserver 10.1.0.53", "nameserver fd01::53", "search home.example", "options timeout:1"]
    assert stat.S_IMODE((machine / "etc" / "resolv.conf").stat().st_mode) == 0o644
    clear(one)
    assert conf(machine) == ORIGINAL
    assert list((machine / "state").iterdir()) == []
    assert [path.name for path in (machine / "etc").iterdir()] == ["resolv.conf"]


def test_release_puts_it_back_as_well(machine):
    undo = UndoLog()
    put(resolver(machine, undo))
    assert asyncio.run(undo.run()) == []
    assert conf(machine) == ORIGINAL


def test_setting_again_keeps_the_first_original(machine):
    undo = UndoLog()
    one = resolver(machine, undo)
    put(one)
    put(one, ("10.1.0.54",))
    assert "nameserver 10.1.0.54" in conf(machine)
    assert "10.1.0.53" not in conf(machine)
    assert len(undo) == 1
    clear(one)
    assert conf(machine) == ORIGINAL


def test_clearing_what_was_never_set_changes_nothing(machine):
    clear(resolver(machine))
    assert conf(machine) == ORIGINAL


def test_a_killed_node_s_successor_puts_it_back(machine):
    put(resolver(machine))
    # kill -9: nothing is taken back. The next node finds what was kept.
    resolver(machine).recover()
    assert conf(machine) == ORIGINAL
    resolver(machine).recover()
    assert conf(machine) == ORIGINAL


def test_what_somebody_wrote_meanwhile_stays(machine):
    one = resolver(machine)
    put(one)
    (machine / "etc" / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    clear(one)
    assert conf(machine) == "nameserver 198.51.100.1\n"
    assert list((machine / "state").iterdir()) == []


def test_a_link_is_a_link_again(machine):
    path = machine / "etc" / "resolv.conf"
    path.unlink()
    (machine / "etc" / "stub.conf").write_text(ORIGINAL)
    path.symlink_to("stub.conf")
    one = resolver(machine)
    put(one)
    assert not path.is_symlink()
    assert (machine / "etc" / "stub.conf").read_text() == ORIGINAL
    clear(one)
    assert str(path.readlink()) == "stub.conf"


def test_a_dangling_link_and_no_file_at_all(machine):
    path = machine / "etc" / "resolv.conf"
    for before in ("link", "nothing"):
        path.unlink()
        if before == "link":
            path.symlink_to("/nowhere/resolv.conf")
        one = resolver(machine)
        put(one)
        assert "10.1.0.53" in conf(machine)
        clear(one)
        assert path.is_symlink() == (before == "link")
        if before == "nothing":
            assert not path.exists()


def test_a_mount_point_is_written_in_place(machine, monkeypatch):
    # In a network namespace of ip-netns(8), and in containers, resolv.conf cannot be replaced.
    path = machine / "etc" / "resolv.conf"
    real = Path.replace

    def replace(self, target):
        if Path(target) == path:
            raise OSError(16, "Device or resource busy")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    one = resolver(machine)
    inode = path.stat().st_ino
    put(one)
    assert "10.1.0.53" in conf(machine)
    clear(one)
    assert conf(machine) == ORIGINAL
    assert path.stat().st_ino == inode
    assert [path.name for path in (machine / "etc").iterdir()] == ["resolv.conf"]


def test_another_machine_s_original_is_not_put_here(machine):
    (machine / "state" / KEPT).write_text(json.dumps({"path": "/etc/other", "content": "x", "ours": ORIGINAL}))
    resolver(machine).recover()
    assert conf(machine) == ORIGINAL


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"\xff\xfe", b"7"])
def test_rubbish_in_place_of_the_original_is_passed_over(machine, rubbish):
    (machine / "state" / KEPT).write_bytes(rubbish)
    one = resolver(machine)
    one.recover()
    put(one)
    clear(one)
    assert conf(machine) == ORIGINAL


def test_a_file_of_a_strange_size_is_left_alone(machine):
    (machine / "etc" / "resolv.conf").write_text("#" * 70000)
    with pytest.raises(ResolverError, match="cannot be written"):
        put(resolver(machine))
    assert len(conf(machine)) == 70000


def test_octets_that_are_no_text_survive(machine):
    path = machine / "etc" / "resolv.conf"
    path.write_bytes(b"# \xff\nnameserver 192.0.2.1\n")
    one = resolver(machine)
    put(one)
    clear(one)
    assert path.read_bytes() == b"# \xff\nnameserver 192.0.2.1\n"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    missing = ResolvConf(tmp_path / "etc" / "resolv.conf", tmp_path / "state")
    with pytest.raises(OSError, match="No such file"):
        missing.write("rhp0", SERVERS)


def test_some_names_only_are_not_for_resolv_conf(machine):
    with pytest.raises(ResolverError, match="need systemd-resolved"):
        put(resolver(machine), domains=("corp.example",))
    assert conf(machine) == ORIGINAL


def test_systemd_resolved_is_told_by_link(machine):
    (machine / "resolve").mkdir()
    program(machine, "resolvectl")
    program(machine, "resolvconf")
    one = resolver(machine)
    put(one)
    put(one, domains=("corp.example", "lab.example"))
    clear(one)
    assert calls(machine) == [
        "resolvectl dns rhp0 10.1.0.53 fd01::53",
        "resolvectl domain rhp0 ~.",
        "resolvectl default-route rhp0 yes",
        "resolvectl dns rhp0 10.1.0.53 fd01::53",
        "resolvectl domain rhp0 ~corp.example ~lab.example",
        "resolvectl default-route rhp0 no",
        "resolvectl revert rhp0",
    ]
    assert conf(machine) == ORIGINAL


def test_resolvectl_alone_is_no_sign_that_resolved_runs(machine):
    program(machine, "resolvectl")
    (machine / "bin" / "resolvconf").symlink_to(machine / "bin" / "resolvectl")
    put(resolver(machine))
    assert calls(machine) == []
    assert "10.1.0.53" in conf(machine)


def test_resolvconf_gets_a_record_and_loses_it(machine):
    program(machine, "resolvconf")
    one = resolver(machine)
    put(one)
    clear(one)
    assert calls(machine) == [
        "resolvconf -a tun.rhp0",
        "nameserver 10.1.0.53",
        "nameserver fd01::53",
        "resolvconf -d tun.rhp0",
    ]
    assert conf(machine) == ORIGINAL


def test_a_program_that_fails_is_told(machine):
    (machine / "resolve").mkdir()
    program(machine, "resolvectl", status=1)
    with pytest.raises(ResolverError, match="resolvectl dns failed: no"):
        put(resolver(machine))


def test_what_could_not_be_cleared_is_taken_back_at_the_end(machine):
    undo = UndoLog()
    program(machine, "resolvconf")
    one = resolver(machine, undo)
    put(one)
    program(machine, "resolvconf", status=1)
    with pytest.raises(ResolverError, match="failed: no"):
        clear(one)
    program(machine, "resolvconf")
    assert asyncio.run(undo.run()) == []
    assert calls(machine)[-2:] == ["resolvconf -d tun.rhp0"] * 2
    # What was cleared is not taken back once more.
    put(one)
    clear(one)
    assert len(undo) == 0


def test_who_is_not_let_to_resolved_is_told_what_to_do(machine):
    (machine / "resolve").mkdir()
    refusing = machine / "bin" / "resolvectl"
    refusing.write_text("#!/bin/sh\necho Failed to set DNS configuration: Access denied >&2\nexit 1\n")
    refusing.chmod(0o755)
    with pytest.raises(ResolverError, match=r"Access denied; copy /\S+/polkit.rules to /etc/polkit-1/rules.d$"):
        put(resolver(machine))


def hanging(machine, script):
    """A resolvconf that hangs, as that script says; each process of it that is to be ended notes its id. How many."""
    path = machine / "bin" / "resolvconf"
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\nnote() {{ echo $1 >> {machine}/pids; }}\n{script}\n")
    path.chmod(0o755)
    return script.count("note $")


HANGS = {
    "itself": "note $$\nexec sleep 60",
    "a child": "note $$\nsleep 60 &\nnote $!\nwait",
    "a child that is left behind": "sleep 60 &\nnote $!",
}


def set_in_vain(machine, monkeypatch, script):
    """Set name servers by a program that does not end, and that is waited for no longer than it may be.

    On a busy machine it may be ended before it has noted all that it began, and then it gets longer.
    """
    notes = hanging(machine, script)

    async def scene():
        async with asyncio.timeout(60):
            with pytest.raises(ResolverError, match="did not end"):
                await resolver(machine).set(SetDns("rhp0", SERVERS))

    for patience in (1.0, 5.0, 25.0):
        monkeypatch.setattr("rhp.guard.resolver.PATIENCE", patience)
        (machine / "pids").write_text("")
        asyncio.run(scene())
        if len(noted(machine)) == notes:
            return
    raise AssertionError("it noted too little")


@pytest.mark.parametrize("script", HANGS.values(), ids=HANGS)
def test_a_program_that_hangs_is_ended_with_its_children(machine, monkeypatch, script):
    set_in_vain(machine, monkeypatch, script)
    gone(machine)


def test_what_has_left_its_session_is_not_waited_for(machine, monkeypatch):
    """It holds the pipe by which we would hear that all is over."""
    set_in_vain(machine, monkeypatch, "setsid sleep 60 &\nnote $!\nwait")
    (left,) = noted(machine)
    os.kill(left, signal.SIGKILL)


def noted(machine):
    return [int(line) for line in (machine / "pids").read_text().splitlines()]


def gone(machine):
    """Nothing of it goes on; a kill takes a moment to arrive."""
    deadline = time.monotonic() + 30
    while left := list(filter(alive, noted(machine))):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def alive(pid):
    """Whether it runs: what is dead and was not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("script", HANGS.values(), ids=HANGS)
def test_a_program_that_is_under_way_when_all_ends_is_ended_too(machine, script):
    """Else it would set what has just been taken back."""
    hanging(machine, script)

    async def scene():
        setting = asyncio.ensure_future(resolver(machine).set(SetDns("rhp0", SERVERS)))
        async with asyncio.timeout(20):
            while not (machine / "pids").exists() or len(noted(machine)) < script.count("note"):
                await asyncio.sleep(0.01)
            setting.cancel()
            await asyncio.gather(setting, return_exceptions=True)
        assert setting.cancelled()
        gone(machine)

    asyncio.run(scene())


@pytest.mark.parametrize("script", HANGS.values(), ids=HANGS)
def test_a_program_that_has_only_just_begun_when_all_ends_is_ended_too(machine, script):
    """It runs already, and asyncio has not said so."""
    notes = hanging(machine, script)
    (machine / "pids").touch()

    async def scene():
        setting = asyncio.ensure_future(resolver(machine).set(SetDns("rhp0", SERVERS)))
        while len(noted(machine)) < notes:
            # One step of the loop, and time for what that may have begun.
            await asyncio.sleep(0)
            time.sleep(0.3)
        setting.cancel()
        async with asyncio.timeout(30):
            await asyncio.gather(setting, return_exceptions=True)
        assert setting.cancelled()
        gone(machine)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("servers", "domains"),
    [
        ((), ()),
        (("10.1.0.53; reboot",), ()),
        (("--help",), ()),
        (("10.1.0.53\nnameserver 6.6.6.6",), ()),
        (("fe80::1%\nnameserver 6.6.6.6",), ()),
        (("fe80::1%$(reboot)",), ()),
        (SERVERS, ("-x",)),
        (SERVERS, ("a b",)),
        (SERVERS, ("a\nb",)),
        (SERVERS, ("",)),
    ],
)
def test_nothing_but_addresses_and_names_reaches_a_program(machine, servers, domains):
    (machine / "resolve").mkdir()
    program(machine, "resolvectl")
    with pytest.raises(ValueError, match=r"name|address"):
        put(resolver(machine), servers, domains)
    assert calls(machine) == []


@pytest.mark.parametrize("way", ["resolvconf", "resolv.conf"])
def test_a_scope_is_no_way_into_a_file_or_a_shell(machine, way):
    """Python takes any text for the scope of an IPv6 address; resolvconf(8) has been known to evaluate its input."""
    if way == "resolvconf":
        program(machine, "resolvconf")
    with pytest.raises(ValueError, match="scope"):
        put(resolver(machine), ("10.1.0.53", "fe80::1%x\n$(reboot)"))
    assert calls(machine) == []
    assert conf(machine) == ORIGINAL
    assert list((machine / "state").iterdir()) == []


def test_files_are_not_left_open(machine):
    before = len(list(Path("/proc/self/fd").iterdir()))
    one = resolver(machine)
    for _ in range(5):
        put(one)
        clear(one)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
