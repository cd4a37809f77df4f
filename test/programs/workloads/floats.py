"""Functions of math and cmath, and arithmetic, on corner cases and random numbers: a digest of all bits each."""
import cmath
import hashlib
import itertools
import math
import operator
import random
import struct

CORNERS = [
    0.0, 1.0, 0.5, 2.0, 1.5, 3.0, 10.0, math.pi, math.e, 1e-5, 1e5, 1e22, 1e-22, 1e300, 1e-300,
    5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308,
    0.1, 1 / 3, 1 - 2**-53, 1 + 2**-52, 2.0**52 + 0.5, 2.0**53, 2.0**63, 2.0**64, 709.78, 745.13,
    math.inf, math.nan,
]
source = random.Random(20260101)
NUMBERS = [sign * x for x in CORNERS for sign in (1, -1)]
NUMBERS += [struct.unpack("<d", source.randbytes(8))[0] for _ in range(300)]
NUMBERS += [source.uniform(-700, 700) for _ in range(1000)] + [source.gauss(0, 1) for _ in range(1000)]
FEW = NUMBERS[: 2 * len(CORNERS)] + NUMBERS[-40:]


def bits(value):
    if isinstance(value, complex):
        return bits(value.real) + bits(value.imag)
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, tuple):
        return b"".join(map(bits, value))
    return repr(value).encode()


def show(name, function, arguments):
    digest, errors = hashlib.sha256(), 0
    for args in arguments:
        try:
            digest.update(bits(function(*args)))
        except (ArithmeticError, ValueError, TypeError) as error:
            errors += 1
            digest.update(type(error).__name__.encode())
    print(name, errors, digest.hexdigest()[:32])


ONE = (
    "acos acosh asin asinh atan atanh cbrt ceil cos cosh degrees erf erfc exp exp2 expm1 fabs floor frexp gamma "
    "isfinite lgamma log log10 log1p log2 modf radians sin sinh sqrt tan tanh trunc ulp"
).split()
TWO = "atan2 copysign fmod hypot log nextafter pow remainder".split()
for name in ONE:
    show(f"math.{name}", getattr(math, name), ((x,) for x in NUMBERS))
for name in TWO:
    show(f"math.{name}2", getattr(math, name), itertools.product(FEW, FEW))
for name in "add sub mul truediv floordiv mod pow lt eq".split():
    show(name, getattr(operator, name), itertools.product(FEW, FEW))
for name in "acos acosh asin asinh atan atanh cos cosh exp log log10 sin sinh sqrt tan tanh phase polar".split():
    show(f"cmath.{name}", getattr(cmath, name), ((complex(x, y),) for x in FEW for y in FEW))
show("ldexp", math.ldexp, ((x, n) for x in FEW for n in (-1100, -53, -1, 0, 1, 53, 2000)))
show("fsum", lambda *xs: math.fsum(x for x in xs if math.isfinite(x)), [FEW, NUMBERS[100:]])
show("repr", lambda x: (repr(x), f"{x:.17e}", f"{x:.3f}"[:40], x.hex()), ((x,) for x in NUMBERS))
show("parse", lambda x: float(repr(x)[:12]), ((x,) for x in NUMBERS))
show("int", int, ((x,) for x in NUMBERS))
show("ratio", lambda x: str(x.as_integer_ratio()), ((x,) for x in NUMBERS))
show("round", round, ((x, n) for x in NUMBERS for n in (-2, 0, 3, 10)))
show("pack f", lambda x: struct.pack("<f", x), ((x,) for x in NUMBERS if abs(x) < 3e38))
show("pack e", lambda x: struct.pack("<e", x), ((x,) for x in NUMBERS if abs(x) < 6e4))
