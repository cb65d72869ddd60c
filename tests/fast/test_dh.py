"""MODP groups against Python's own arithmetic, the primes computed from pi."""

import sys
import threading
import time

import pytest

from rhp._fast import dh

WIDTHS = {2: 128, 5: 192, 14: 256, 15: 384, 16: 512}
# RFC 2409 section 6.2 and RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + k).
OFFSETS = {2: 129093, 5: 741804, 14: 124476, 15: 1690314, 16: 240904}

groups = pytest.mark.parametrize("group", WIDTHS)


def pi_times(power):
    """floor(2^power * pi) by Machin's formula, with guard bits."""
    one = 1 << (power + 64)

    def arctan(inverse):
        term = total = one // inverse
        divisor, sign = 1, 1
        while term:
            term //= inverse * inverse
            divisor, sign = divisor + 2, -sign
            total += sign * (term // divisor)
        return total

    return (16 * arctan(5) - 4 * arctan(239)) >> 64


def prime(group):
    bits = WIDTHS[group] * 8
    return 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_times(bits - 130) + OFFSETS[group])


def number(value):
    return int.from_bytes(value, "big")


@groups
def test_the_public_value_is_two_to_the_private_one(group):
    private, public = dh.generate(group)
    assert len(private) == len(public) == dh.width(group) == WIDTHS[group]
    assert number(public) == pow(2, number(private), prime(group))


@groups
def test_both_ends_agree_on_what_python_computes(group):
    p = prime(group)
    (a, public_a), (b, public_b) = dh.generate(group), dh.generate(group)
    secret = dh.agree(group, a, public_b)
    assert len(secret) == WIDTHS[group]
    assert secret == dh.agree(group, b, public_a)
    assert number(secret) == pow(number(public_b), number(a), p)


@groups
def test_keys_are_fresh_and_strong(group):
    private, public = zip(*(dh.generate(group) for _ in range(8)), strict=True)
    assert len(set(private)) == len(set(public)) == 8
    # Twice the group's strength is what a short exponent needs (RFC 7919 section 5.2).
    assert max(number(value).bit_length() for value in private) >= 160


@groups
@pytest.mark.parametrize(
    "value",
    [lambda p: 0, lambda p: 1, lambda p: p - 1, lambda p: p, lambda p: p + 1, lambda p: -1],
    ids=["0", "1", "p - 1", "p", "p + 1", "all ones"],
)
def test_values_out_of_range(group, value):
    private, _ = dh.generate(group)
    wrong = value(prime(group)) % 2 ** (WIDTHS[group] * 8)
    with pytest.raises(ValueError, match="not within"):
        dh.agree(group, private, wrong.to_bytes(WIDTHS[group], "big"))


@groups
@pytest.mark.parametrize("value", [lambda p: 2, lambda p: p - 2], ids=["2", "p - 2"])
def test_the_ends_of_the_range(group, value):
    private, _ = dh.generate(group)
    p = prime(group)
    secret = dh.agree(group, private, value(p).to_bytes(WIDTHS[group], "big"))
    assert number(secret) == pow(value(p), number(private), p)


@groups
@pytest.mark.parametrize("change", [-1, 1, None])
def test_values_of_the_wrong_length(group, change):
    private, public = dh.generate(group)
    wrong = b"" if change is None else b"\0" * (change > 0) + public[: len(public) + min(change, 0)]
    with pytest.raises(ValueError, match="octets"):
        dh.agree(group, private, wrong)


@groups
def test_private_values_of_the_wrong_length(group):
    _, public = dh.generate(group)
    for private in (b"", bytes(WIDTHS[group]) + b"\1"):
        with pytest.raises(ValueError, match="private value"):
            dh.agree(group, private, public)


@groups
def test_leading_zeros_of_the_secret_are_kept(group):
    # y = 2^k and x chosen so that the secret is small: 2^(k*x) with k*x below the width.
    secret = dh.agree(group, (20).to_bytes(WIDTHS[group], "big"), (2**16).to_bytes(WIDTHS[group], "big"))
    assert secret == (2**320).to_bytes(WIDTHS[group], "big")


@pytest.mark.parametrize("group", [0, 1, 3, 17, 19, 22, -1, 2**40])
def test_unknown_groups(group):
    for call in (lambda: dh.generate(group), lambda: dh.agree(group, b"\1", b"\2"), lambda: dh.width(group)):
        with pytest.raises((ValueError, OverflowError)):
            call()


def test_other_threads_run_meanwhile():
    # The interpreter itself never switches here, so the other thread only runs while a call has let the GIL go.
    private, public = dh.generate(16)
    steps, stop = [], threading.Event()

    def count():
        while not stop.is_set():
            steps.append(1)
            time.sleep(0)

    thread = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    thread.start()
    sys.setswitchinterval(600)
    try:
        before = len(steps)
        for _ in range(400):
            dh.agree(16, private, public)
            if len(steps) > before + 5:
                break
        assert len(steps) > before + 5
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
