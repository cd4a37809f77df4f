"""Prints an RSA key made of seeded random numbers, as input for `openssl asn1parse -genconf`."""
import random
import sys

source = random.Random(int(sys.argv[1]))
BITS = int(sys.argv[2]) // 2


def is_prime(n):
    if any(n % small == 0 for small in range(3, 2000, 2)):
        return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(12):
        x = pow(source.randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime():
    while True:
        n = source.getrandbits(BITS) | 1 | 3 << BITS - 2
        if n % 65537 != 1 and is_prime(n):
            return n


p, q = prime(), prime()
e = 65537
d = pow(e, -1, (p - 1) * (q - 1))
fields = [0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
print("asn1=SEQUENCE:key\n[key]")
for n, value in enumerate(fields):
    print(f"f{n}=INTEGER:{value:#x}")
