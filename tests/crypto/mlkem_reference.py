"""ML-KEM written out a second time, as FIPS 203 gives it, to be an independent referee. Slow, and not for use."""

from hashlib import sha3_256, sha3_512, shake_128, shake_256

Q = 3329
N = 256


def _reverse7(number):
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, _reverse7(at), Q) for at in range(128)]
GAMMAS = [pow(17, 2 * _reverse7(at) + 1, Q) for at in range(128)]


class MlKem:
    """One parameter set: `k`, eta1 = eta2 = 2, `du` and `dv` (FIPS 203 section 8)."""

    def __init__(self, k, du, dv):
        self.k, self.du, self.dv = k, du, dv

    def keys(self, d, z):
        """ML-KEM.KeyGen_internal: the encapsulation and the decapsulation key."""
        rho, sigma = _halves(sha3_512(d + bytes((self.k,))).digest())
        a = [[_sample_ntt(rho + bytes((j, i))) for j in range(self.k)] for i in range(self.k)]
        s = [_ntt(_sample_cbd(sigma, at)) for at in range(self.k)]
        e = [_ntt(_sample_cbd(sigma, self.k + at)) for at in range(self.k)]
        t = [_add(_dot(row, s), noise) for row, noise in zip(a, e, strict=True)]
        ek = b"".join(_encode(one, 12) for one in t) + rho
        return ek, b"".join(_encode(one, 12) for one in s) + ek + sha3_256(ek).digest() + z

    def encapsulate(self, ek, m):
        """ML-KEM.Encaps_internal: the shared secret and the ciphertext."""
        shared, r = _halves(sha3_512(m + sha3_256(ek).digest()).digest())
        return shared, self._encrypt(ek, m, r)

    def decapsulate(self, dk, c):
        """ML-KEM.Decaps_internal: the shared secret, another one for a ciphertext that was tampered with."""
        cut = 384 * self.k
        ek, h, z = dk[cut : 2 * cut + 32], dk[2 * cut + 32 : 2 * cut + 64], dk[2 * cut + 64 :]
        m = self._decrypt(dk[:cut], c)
        shared, r = _halves(sha3_512(m + h).digest())
        return shared if self._encrypt(ek, m, r) == c else shake_256(z + c).digest(32)

    def _encrypt(self, ek, m, r):
        cut = 384 * self.k
        t = [_decode(ek[384 * at : 384 * (at + 1)], 12) for at in range(self.k)]
        rho = ek[cut:]
        a = [[_sample_ntt(rho + bytes((j, i))) for j in range(self.k)] for i in range(self.k)]
        y = [_ntt(_sample_cbd(r, at)) for at in range(self.k)]
        e1 = [_sample_cbd(r, self.k + at) for at in range(self.k)]
        e2 = _sample_cbd(r, 2 * self.k)
        columns = [[a[i][j] for i in range(self.k)] for j in range(self.k)]
        u = [_add(_inverse(_dot(column, y)), noise) for column, noise in zip(columns, e1, strict=True)]
        v = _add(_add(_inverse(_dot(t, y)), e2), _decompress(_decode(m, 1), 1))
        first = b"".join(_encode(_compress(one, self.du), self.du) for one in u)
        return first + _encode(_compress(v, self.dv), self.dv)

    def _decrypt(self, dk, c):
        size = 32 * self.du
        u = [_decompress(_decode(c[size * at : size * (at + 1)], self.du), self.du) for at in range(self.k)]
        v = _decompress(_decode(c[size * self.k :], self.dv), self.dv)
        s = [_decode(dk[384 * at : 384 * (at + 1)], 12) for at in range(self.k)]
        w = _subtract(v, _inverse(_dot(s, [_ntt(one) for one in u])))
        return _encode(_compress(w, 1), 1)


ML_KEM_768 = MlKem(3, 10, 4)
ML_KEM_1024 = MlKem(4, 11, 5)


def _halves(octets):
    return octets[:32], octets[32:]


def _sample_ntt(seed):
    stream = shake_128(seed).digest(3 * 672)
    found, at = [], 0
    while len(found) < N:
        one, two, three = stream[at : at + 3]
        at += 3
        found += [value for value in (one + 256 * (two % 16), two // 16 + 16 * three) if value < Q]
    return found[:N]


def _sample_cbd(seed, number):
    bits = int.from_bytes(shake_256(seed + bytes((number,))).digest(128), "little")
    found = []
    for _ in range(N):
        found.append(((bits & 1) + (bits >> 1 & 1) - (bits >> 2 & 1) - (bits >> 3 & 1)) % Q)
        bits >>= 4
    return found


def _ntt(f):
    f, at, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta, at = ZETAS[at], at + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j], f[j + length] = (f[j] + t) % Q, (f[j] - t) % Q
        length //= 2
    return f


def _inverse(f):
    f, at, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            zeta, at = ZETAS[at], at - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [value * 3303 % Q for value in f]


def _multiply(f, g):
    found = []
    for at in range(128):
        a0, a1, b0, b1 = f[2 * at], f[2 * at + 1], g[2 * at], g[2 * at + 1]
        found += [(a0 * b0 + a1 * b1 * GAMMAS[at]) % Q, (a0 * b1 + a1 * b0) % Q]
    return found


def _dot(one, other):
    total = [0] * N
    for f, g in zip(one, other, strict=True):
        total = _add(total, _multiply(f, g))
    return total


def _add(f, g):
    return [(a + b) % Q for a, b in zip(f, g, strict=True)]


def _subtract(f, g):
    return [(a - b) % Q for a, b in zip(f, g, strict=True)]


def _compress(f, bits):
    return [((value << bits) + Q // 2) // Q % (1 << bits) for value in f]


def _decompress(f, bits):
    return [(value * Q + (1 << bits - 1)) >> bits for value in f]


def _encode(f, bits):
    return sum(value << bits * at for at, value in enumerate(f)).to_bytes(32 * bits, "little")


def _decode(octets, bits):
    number = int.from_bytes(octets, "little")
    found = [number >> bits * at & (1 << bits) - 1 for at in range(N)]
    return [value % Q for value in found] if bits == 12 else found
