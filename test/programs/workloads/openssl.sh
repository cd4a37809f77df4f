# openssl's command line: digests, ciphers both ways, keys and signatures. Whatever is random is only verified.
cd /tmp || exit 1
export OPENSSL_CONF=/dev/null
seq 1 3000 >plain
head -c 1000 plain >short
KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627
IV=f0e1d2c3b4a5968778695a4b3c2d1e0f

for digest in $(openssl list -digest-commands); do
  echo "dgst $digest $(openssl dgst "-$digest" -provider default -provider legacy plain 2>&1 | sed 's/.*= //;s/^[0-9A-F]*:error/error/' | head -n 1)"
  echo "hmac $digest $(openssl dgst "-$digest" -provider default -provider legacy -hmac secret short 2>&1 | sed 's/.*= //;s/^[0-9A-F]*:error/error/' | head -n 1)"
done
# Triple DES key wrap chooses its own initial vector.
for cipher in $(openssl enc -list | sed 1d | tr ' ' '\n' | grep -v -i des.*wrap); do
  openssl enc "$cipher" -e -provider default -provider legacy -K $KEY -iv $IV -in plain -out sealed 2>/dev/null
  status=$?
  echo "enc $cipher $status $(sha256sum <sealed)"
  openssl enc "$cipher" -d -provider default -provider legacy -K $KEY -iv $IV -in sealed 2>/dev/null | cmp -s - plain && echo "back $cipher"
  rm -f sealed
done
openssl enc -aes-256-cbc -pbkdf2 -iter 20000 -S 0102030405060708 -k password -in plain | sha256sum

for bits in 512 1024 2048; do
  python3 /judge/rsa_key.py $bits $bits >key.cnf
  openssl asn1parse -genconf key.cnf -noout -out key.der
  openssl rsa -inform DER -in key.der -out key.pem -traditional 2>/dev/null
  openssl rsa -in key.pem -check -noout
  openssl rsa -in key.pem -pubout 2>/dev/null | tee pub.pem | sha256sum
  for digest in md5 sha1 sha256 sha384; do
    echo "rsa $bits $digest $(openssl dgst -$digest -sign key.pem plain | tee signature | sha256sum)"
    openssl dgst -$digest -verify pub.pem -signature signature plain
  done
done
openssl genrsa -out random.pem 1024 2>/dev/null && openssl rsa -in random.pem -check -noout
openssl rsa -in random.pem -pubout 2>/dev/null >random.pub
for padding in pkcs1 oaep; do
  printf secret | openssl pkeyutl -encrypt -pubin -inkey random.pub -pkeyopt rsa_padding_mode:$padding |
    openssl pkeyutl -decrypt -inkey random.pem -pkeyopt rsa_padding_mode:$padding && echo " $padding"
done
for curve in $(openssl ecparam -list_curves | sed -n 's/^ *\([A-Za-z0-9-]*\) *:.*/\1/p' | grep -v Oakley); do
  openssl ecparam -name "$curve" -genkey -noout -out key.pem &&
    openssl ec -in key.pem -pubout -out pub.pem 2>/dev/null &&
    openssl dgst -sha256 -sign key.pem -out signature plain &&
    echo "$curve $(openssl dgst -sha256 -verify pub.pem -signature signature plain)"
done 2>/dev/null

# RFC 8410, "Private Key Format": a raw key of 32 or 57 bytes behind a fixed prefix.
raw_key() {
  python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]) + bytes(range(int(sys.argv[2]))))' "$1" "$2" |
    openssl pkey -inform DER -out "$3"
}
raw_key 302e020100300506032b657004220420 32 ed25519.pem
raw_key 3047020100300506032b6571043b0439 57 ed448.pem
raw_key 302e020100300506032b656e04220420 32 x25519.pem
for name in ed25519 ed448; do
  openssl pkeyutl -sign -inkey $name.pem -rawin -in plain | sha256sum
done
openssl pkey -in x25519.pem -text -noout
openssl genpkey -algorithm X25519 -out other.pem
openssl pkey -in other.pem -pubout -out other.pub
openssl pkey -in x25519.pem -pubout -out x25519.pub
openssl pkeyutl -derive -inkey x25519.pem -peerkey other.pub | sha256sum >one
openssl pkeyutl -derive -inkey other.pem -peerkey x25519.pub | sha256sum | cmp - one && echo derived the same
for n in 0 1 1000003 170141183460469231731687303715884105727 170141183460469231731687303715884105729; do openssl prime $n; done
openssl passwd -6 -salt saltsalt password
openssl passwd -apr1 -salt saltsalt password
openssl kdf -keylen 32 -kdfopt pass:password -kdfopt salt:salt -kdfopt n:1024 -kdfopt r:8 -kdfopt p:2 SCRYPT
