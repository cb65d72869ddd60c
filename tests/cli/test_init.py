"""`rhp init`: in one line, and as a dialogue at a real terminal."""

import os
import pty
import select
import stat
import subprocess
import time
from datetime import UTC, datetime

import pytest

from rhp.config.loading import load
from rhp.lab.rhpnode import rhp_command
from rhp.pki import ca

AUTHS = ["certificate", "psk"]


def modes(folder):
    return {
        str(one.relative_to(folder)): f"{stat.S_IMODE(one.stat().st_mode):o}"
        for one in folder.rglob("*")
        if one.is_file()
    }


@pytest.fixture
def made(rhp, tmp_path):
    """A gateway's folder, made in one line."""

    def make(*more, name="gate"):
        folder = tmp_path / name
        line = ("init", "gateway", "--name", "vpn.example.org", "--yes", "-c", folder / "rhp.toml")
        result = rhp(*line, *more)
        assert result.exit_code == 0, result.output
        return folder, result.output

    return make


@pytest.mark.parametrize("auth", AUTHS)
def test_a_gateway_and_its_client_in_a_line_each(rhp, made, tmp_path, auth):
    gate, said = made("--auth", auth, "--pool", "10.99.0.0/24", "--networks", "192.168.1.0/24, 10.1.0.0/16")
    loaded = load(gate / "rhp.toml")
    assert loaded.warnings == ()
    assert [str(one) for one in loaded.settings.interface.addresses] == ["10.99.0.1/24"]
    assert f"rhp up -c {gate}/rhp.toml" in said
    assert "net.ipv4.ip_forward=1" in said
    assert "BEGIN RHP INVITATION" not in said
    files = modes(gate)
    assert files["laptop.invitation"] == "600"
    assert {mode for name, mode in files.items() if name.endswith((".key", ".psk"))} == {"600"}
    home = tmp_path / "home"
    result = rhp("init", "client", gate / "laptop.invitation", "--yes", "-c", home / "rhp.toml")
    assert result.exit_code == 0, result.output
    ours = load(home / "rhp.toml")
    assert ours.warnings == ()
    ((client,), (connection,)) = ours.engine.connections, loaded.engine.connections
    assert (client.start, connection.start) == ("initiate", "wait")
    assert connection.remote.pattern.matches(client.local.identity)
    assert client.remote.pattern.matches(connection.local.identity)
    assert client.children[0].remote_ts == connection.children[0].local_ts
    assert "600" in modes(home).values()
    assert not [one for one in (*gate.iterdir(), *home.iterdir()) if one.name.startswith(".rhp-init")]


def test_an_ipv6_pool(made):
    gate, said = made("--pool", "fd88:1::/64", "--networks", "fd01::/48")
    assert load(gate / "rhp.toml").engine.pools[0].version == 6
    assert "net.ipv6.conf.all.forwarding=1" in said


def test_the_invitation_can_be_printed_and_pasted(rhp, made, tmp_path):
    _, said = made("--print")
    line = [*rhp_command("init", "client", "-", "-c", str(tmp_path / "home.toml"))]
    ran = subprocess.run(line, input=said, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert load(tmp_path / "home.toml").engine.connections[0].name == "gateway"


def test_one_more_client_is_invited(rhp, made, tmp_path):
    gate, _ = made()
    result = rhp("init", "invite", "Desk", "--address", "192.0.2.9", "-c", gate / "rhp.toml")
    assert result.exit_code == 0, result.output
    assert modes(gate)["desk.invitation"] == "600"
    home = tmp_path / "home" / "rhp.toml"
    assert rhp("init", "client", gate / "desk.invitation", "-y", "-c", home).exit_code == 0
    (connection,) = load(home).engine.connections
    assert [str(one) for one in connection.remote_addrs] == ["192.0.2.9/32"]
    again = rhp("init", "invite", "desk", "-c", gate / "rhp.toml")
    assert again.exit_code == 1
    assert f"{gate}/desk.invitation exists already" in again.output


def called_by(rhp, gate, client, home, *more):
    """Where the client of a further invitation calls the gateway."""
    result = rhp("init", "invite", client, *more, "-c", gate / "rhp.toml")
    assert result.exit_code == 0, result.output
    assert rhp("init", "client", gate / f"{client}.invitation", "-y", "-c", home / client / "rhp.toml").exit_code == 0
    loaded = load(home / client / "rhp.toml")
    (connection,) = loaded.engine.connections
    called = [str(one[0]) for one in connection.remote_addrs] or list(loaded.settings.hosts["gateway"])
    assert f"{client} calls the gateway at {called[0]}\n" in result.output
    return called


@pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::9", "dyn.example.net", "vpn.example.org"])
def test_further_clients_call_the_gateway_where_the_first_one_does(rhp, made, tmp_path, address):
    gate, _ = made("--address", address)
    assert load(gate / "rhp.toml").warnings == ()
    assert called_by(rhp, gate, "desk", tmp_path) == [address]
    assert called_by(rhp, gate, "phone", tmp_path, "--address", "198.51.100.1") == ["198.51.100.1"]


@pytest.mark.parametrize("names", [["vpn.example.org"], ["vpn.example.org", "192.0.2.9", "192.0.2.10"]])
def test_a_certificate_that_does_not_tell_leaves_the_name(rhp, made, tmp_path, names):
    """One of before, or one with several names: which of them is to be called is not known."""
    gate, _ = made("--address", "192.0.2.9")
    authority = ca.Credentials((gate / "ca/ca.pem").read_bytes(), (gate / "ca/ca.key").read_bytes())
    other = ca.issue(authority, names, datetime.now(UTC))
    (gate / "vpn.example.org.pem").write_bytes(other.certificate)
    assert called_by(rhp, gate, "desk", tmp_path) == ["vpn.example.org"]
    (gate / "vpn.example.org.pem").write_text("damaged")
    assert called_by(rhp, gate, "phone", tmp_path) == ["vpn.example.org"]


def test_a_gateway_with_a_shared_key_invites_nobody_else(rhp, made, tmp_path):
    gate, _ = made("--auth", "psk")
    result = rhp("init", "invite", "desk", "-c", gate / "rhp.toml")
    assert (result.exit_code, result.output) == (
        1,
        f"rhp: {gate}/rhp.toml is not what rhp init gateway writes for clients with certificates; name the gateway's "
        "file with -c, or make a key with rhp keygen node\n",
    )
    missing = rhp("init", "invite", "desk", "-c", tmp_path / "none.toml")
    assert missing.output == f"rhp: {tmp_path}/none.toml cannot be read: No such file or directory\n"


@pytest.mark.parametrize("auth", AUTHS)
def test_nothing_is_written_over_without_force(rhp, made, auth):
    gate, _ = made("--auth", auth)
    before = {one: one.read_bytes() for one in gate.rglob("*") if one.is_file()}
    line = ("init", "gateway", "--name", "vpn.example.org", "--yes", "--auth", auth, "-c", gate / "rhp.toml")
    result = rhp(*line)
    assert result.exit_code == 1
    assert "exists already; nothing was written (--force writes over it)" in result.output
    assert ("--force makes a new CA, and no client invited so far gets in" in result.output) == (auth != "psk")
    assert ("run rhp init invite NAME" in result.output) == (auth != "psk")
    assert {one: one.read_bytes() for one in gate.rglob("*") if one.is_file()} == before
    # One file of them is enough, and so is a link that leads nowhere.
    for one in before:
        one.unlink()
    (gate / "laptop.invitation").symlink_to("nowhere")
    assert rhp(*line).exit_code == 1
    assert [one for one in gate.rglob("*") if one.is_file()] == []
    assert rhp(*line, "--force").exit_code == 0
    assert (gate / "laptop.invitation").is_file()
    assert load(gate / "rhp.toml").warnings == ()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--name", "192.0.2.1"), '--name: "192.0.2.1" is not the name of a host; write for example vpn.example.org'),
        (("--pool", "10.0.0.1/24"), '--pool: "10.0.0.1/24" is not a network; write for example 10.88.0.0/24'),
        (("--pool", "10.0.0.0/31"), "--pool: 10.0.0.0/31 has no room for clients"),
        (("--pool", "fd88::%eth0/64"), '--pool: "fd88::%eth0/64" is not a network'),
        (("--networks", "fd77::%eth0/64"), '--networks: "fd77::%eth0/64" is not a network'),
        (("--networks", "office"), '--networks: "office" is not a network'),
        (
            ("--networks", "fd00::/8"),
            "--networks: fd00::/8 is an IPv6 network, and clients get IPv4 addresses of 10.88",
        ),
        (("--client", "a b"), '--client: "a b" is not a client\'s name'),
        (("--address", "10.0.0.0/8"), "--address: 10.0.0.0/8 is a network; write the one address"),
        (("--pool", "127.0.0.0/8"), "this makes no good configuration, and nothing was written"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(rhp, tmp_path, more, told):
    folder = tmp_path / "gate"
    result = rhp("init", "gateway", "--name", "vpn.example.org", *more, "--yes", "-c", folder / "rhp.toml")
    assert result.exit_code == 1
    assert result.output.startswith(f"rhp: {told}"), result.output
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize(("host", "name"), [("Gate.example.org", "gate.example.org"), ("gate", "gate")])
def test_the_name_is_this_machine_s_unless_it_is_given(rhp, tmp_path, monkeypatch, host, name):
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert rhp("init", "gateway", "--yes", "-c", tmp_path / "rhp.toml").exit_code == 0
    assert (tmp_path / f"{name}.pem").exists()


@pytest.mark.parametrize("host", ["localhost", "my_machine", "10.0.0.1"])
def test_a_machine_whose_name_says_nothing_needs_one(rhp, tmp_path, monkeypatch, host):
    monkeypatch.setattr("socket.gethostname", lambda: host)
    result = rhp("init", "gateway", "--yes", "-c", tmp_path / "rhp.toml")
    assert result.output == 'rhp: --name: "" is not the name of a host; write for example vpn.example.org\n'


def test_an_invitation_that_is_none(rhp, tmp_path):
    (tmp_path / "text").write_text("nothing")
    result = rhp("init", "client", tmp_path / "text", "--yes", "-c", tmp_path / "rhp.toml")
    assert result.output.startswith(f"rhp: {tmp_path}/text: there is no invitation in it")
    missing = rhp("init", "client", tmp_path / "none", "--yes", "-c", tmp_path / "rhp.toml")
    assert missing.output == f"rhp: {tmp_path}/none cannot be read: No such file or directory\n"
    assert not (tmp_path / "rhp.toml").exists()


def test_a_folder_that_cannot_be_written(rhp, tmp_path):
    (tmp_path / "file").touch()
    result = rhp("init", "gateway", "--name", "vpn.example.org", "--yes", "-c", tmp_path / "file" / "rhp.toml")
    assert (result.exit_code, result.output.splitlines()[0][: len(str(tmp_path)) + 10]) == (
        1,
        f"rhp: {tmp_path}/file",
    )


def test_without_a_terminal_it_asks_nobody(rhp, tmp_path):
    result = rhp("init", "gateway", "-c", tmp_path / "rhp.toml")
    assert (result.exit_code, result.output) == (
        1,
        "rhp: there is no terminal to ask at; write --name, or --yes to take every default\n",
    )


class Terminal:
    """A person at a terminal with a command."""

    def __init__(self, *arguments):
        self.shown = ""
        self._fd, theirs = pty.openpty()
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self._process = subprocess.Popen(rhp_command(*arguments), start_new_session=True, **streams)
        os.close(theirs)

    def wait_for(self, words, seconds=60):
        """Read until these words are shown; what came before them is done with."""
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} was not shown: {self.shown!r}"
            if select.select([self._fd], [], [], left)[0]:
                self._read()
        before, _, self.shown = self.shown.partition(words)
        return before

    def answer(self, question, text):
        before = self.wait_for(question)
        os.write(self._fd, text.encode() + b"\n")
        return before

    def hang_up(self, question):
        """Say at a question that there will be no answer (Ctrl-D)."""
        self.wait_for(question)
        os.write(self._fd, b"\x04")

    def end(self):
        """Read to the end; the exit code and what was shown last."""
        while self._read():
            pass
        return self._process.wait(60), self.shown

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._fd)

    def _read(self):
        try:
            found = os.read(self._fd, 4096)
        except OSError:  # The other side has closed it.
            found = b""
        self.shown += found.decode()
        return found


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments):
        opened.append(Terminal(*map(str, arguments)))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_the_dialogue_has_five_questions_and_asks_again_what_makes_no_sense(terminal, tmp_path):
    file = tmp_path / "gate" / "rhp.toml"
    person = terminal("init", "gateway", "-c", file)
    person.answer("Name of this gateway, as clients call it", "10.0.0.1")
    assert "is not the name of a host" in person.answer("Name of this gateway, as clients call it", "vpn.example.org")
    person.answer("Network for the clients' addresses [10.88.0.0/24]: ", "")
    person.answer("Networks behind it for clients [none]: ", "192.168.7.0/24")
    assert "neither" in (
        person.answer("or a psk [certificate]: ", "x") + person.answer("or a psk [certificate]: ", "c")
    )
    person.answer("Name of the first client [laptop]: ", "")
    code, shown = person.end()
    assert code == 0, shown
    assert f"wrote {file} and the keys beside it" in shown
    assert load(file).engine.connections[0].name == "clients"
    home = tmp_path / "home" / "rhp.toml"
    person = terminal("init", "client", file.parent / "laptop.invitation", "-c", home)
    person.answer(f"Write {home} for laptop@vpn.example.org, which calls vpn.example.org? [Y/n]: ", "n")
    code, shown = person.end()
    assert (code, home.exists()) == (1, False)
    assert "rhp: nothing was written" in shown
    person = terminal("init", "client", file.parent / "laptop.invitation", "-c", home)
    person.answer("[Y/n]: ", "")
    assert person.end()[0] == 0
    assert load(home).warnings == ()


def test_a_dialogue_that_is_broken_off_writes_nothing(terminal, tmp_path):
    person = terminal("init", "gateway", "--name", "vpn.example.org", "-c", tmp_path / "gate" / "rhp.toml")
    person.hang_up("Network for the clients' addresses [10.88.0.0/24]: ")
    code, _ = person.end()
    assert code != 0
    assert not (tmp_path / "gate").exists()
