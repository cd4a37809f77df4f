"""numpy's element-wise functions and reductions for each type it has code for: a digest of all bits each.

numpy chooses among vector instructions by CPUID, so lengths and strides are such that whole vectors and rests occur.
"""
import hashlib
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")
source = np.random.Generator(np.random.PCG64(20260101))
LENGTH = 1037
CORNERS = [0.0, -0.0, 1, -1, 0.5, 2, np.pi, 1e-5, 1e5, 1e30, -1e30, np.inf, -np.inf, np.nan]


def operands(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return source.integers(0, 2, LENGTH).astype(bool)
    if dtype.kind in "iu":
        return np.frombuffer(source.bytes(LENGTH * dtype.itemsize), dtype).copy()
    real = source.normal(0, 20, LENGTH)
    real[: len(CORNERS)] = CORNERS
    source.shuffle(real)
    if dtype.kind == "c":
        return (real + 1j * source.permutation(real)).astype(dtype)
    return real.astype(dtype)


def digest(value):
    values = value if isinstance(value, tuple) else (value,)
    total = hashlib.sha256()
    for array in map(np.ascontiguousarray, values):
        # An 80-bit number has six bytes of padding.
        text = str(array.tolist()).encode() if array.dtype.char in "gG" else array.tobytes()
        total.update(str(array.dtype).encode() + text)
    return total.hexdigest()[:32]


TYPES = "? b B h H i I l L e f d g F D".split()
inputs = {code: (operands(code), operands(code)) for code in TYPES}
# Both engines see the same bits of a payload only where the instruction order is the same, which it is.
for name in sorted(vars(np)):
    ufunc = getattr(np, name)
    if not isinstance(ufunc, np.ufunc) or ufunc.signature is not None:
        continue
    for code in TYPES:
        arguments = inputs[code][: ufunc.nin]
        for way, step in (("", 1), (" strided", 3)):
            try:
                print(f"{name} {code}{way}", digest(ufunc(*(a[::step] for a in arguments))))
            except TypeError:
                print(f"{name} {code}{way} none")

for code in TYPES:
    x = inputs[code][0]
    for name in "sum prod min max argmin argmax cumsum sort argsort mean var any all".split():
        try:
            print(f"reduce {name} {code}", digest(getattr(np, name)(x)))
        except TypeError:
            print(f"reduce {name} {code} none")
    for target in TYPES:
        print(f"cast {code} {target}", digest(x.astype(target)))

for code in "fdFD":
    square = source.normal(0, 1, (61, 61)).astype(code)
    print(f"dot {code}", digest(square @ square))
    print(f"solve {code}", digest(np.linalg.solve(square, square[0])))
    print(f"svd {code}", digest(np.linalg.svd(square)))
    print(f"eig {code}", digest(tuple(np.linalg.eigh(square + square.T))))
    print(f"fft {code}", digest(np.fft.fft(square)))
for name in "MT19937 PCG64 PCG64DXSM Philox SFC64".split():
    generator = np.random.Generator(getattr(np.random, name)(7))
    for draw in "random standard_normal standard_exponential".split():
        print(name, draw, digest(getattr(generator, draw)(5000)))
    print(name, "gamma", digest(generator.gamma(2.5, 1, 1000)), digest(generator.binomial(100, 0.3, 1000)))
