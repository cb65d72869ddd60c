"""The crypto provider: which library it is, and that nothing stays behind when contexts go."""

import gc
import re
import ssl
from pathlib import Path

import pytest
from esp_suites import BY_NAME, SHAPES

from rhp._fast import evp
from rhp._fast.esp import EspDropped


def resident_kib():
    gc.collect()
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0])


def test_the_library_is_named():
    version = re.match(r"OpenSSL (\d+)\.(\d+)", evp.openssl_version())
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (3, 0)


@pytest.mark.parametrize("suite", SHAPES, ids=lambda suite: suite.name)
def test_contexts_leave_no_memory_behind(suite):
    def round_trips(count):
        for _ in range(count):
            suite.opener().open(suite.sealer().seal(1, 4, b"payload"))

    round_trips(200)
    before = resident_kib()
    round_trips(4000)
    # The smallest thing that could stay behind, a digest context, would be about 2 MiB in 8,000 contexts.
    assert resident_kib() - before < 1024


@pytest.mark.parametrize("suite", SHAPES, ids=lambda suite: suite.name)
def test_packets_leave_no_memory_behind(suite):
    sealer, opener = suite.sealer(), suite.opener()
    packet = bytearray(sealer.seal(2**31, 4, bytes(100)))
    packet[-1] ^= 1
    forged = bytes(packet)

    def packets(first, count):
        for seq in range(first, first + count):
            opener.open(sealer.seal(seq, 4, bytes(100)))
            with pytest.raises(EspDropped):
                opener.open(forged)

    packets(1, 500)
    before = resident_kib()
    packets(501, 5000)
    assert resident_kib() - before < 1024


@pytest.mark.parametrize("suite", SHAPES, ids=lambda suite: suite.name)
def test_a_forged_packet_spoils_nothing(suite):
    # The context is used again after a failure, and the ssl module of this thread finds no error of ours in its queue.
    sealer, opener = suite.sealer(), suite.opener()
    for seq in range(1, 20):
        good = sealer.seal(seq, 4, b"payload")
        with pytest.raises(EspDropped, match="esp-bad-icv"):
            opener.open(good[:-1] + bytes([good[-1] ^ 1]))
        assert opener.open(good) == (4, b"payload")
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED


def test_contexts_of_one_key_are_independent():
    # Two lanes seal with one SA and one opens: the order in which they work does not matter.
    suite = BY_NAME["aes128gcm16"]
    lanes, opener = [suite.sealer(), suite.sealer()], suite.opener()
    packets = [lanes[seq % 2].seal(seq, 4, b"%d" % seq) for seq in range(1, 41)]
    assert [opener.open(packet)[1] for packet in reversed(packets)] == [b"%d" % seq for seq in range(40, 0, -1)]
