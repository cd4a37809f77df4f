# Small tools: arithmetic, text, and archives there and back.
cd /tmp || exit 1
sums() { tee copy | sha256sum; cmp copy "$1" && echo same; }
echo 'scale=500; 4*a(1); e(1); sqrt(2); s(1); l(10); 2^4096; j(3,7.5)' | bc -l
echo 'define f(n) { if (n < 2) return 1; return n * f(n - 1); } f(200)' | bc
echo '100k 2v p 3 7 ^ 5 % p' | dc 2>/dev/null
awk 'BEGIN { for (i = 1; i <= 2000; i++) { x = sin(i) * exp(i / 100); s += x; printf "%.17g %d %s %x\n", x, x % 1e9, i ^ 5, i * 7919 } print s, log(s * s), int(s), atan2(s, 3) }' | sha256sum
awk 'BEGIN { srand(3); for (i = 0; i < 50000; i++) print int(rand() * 1e6), i }' >numbers
sha256sum <numbers
sort numbers | sha256sum; sort -n numbers | sha256sum; sort -g -r -k2 numbers | sha256sum; sort -u -k1,1 numbers | wc -l
cut -d' ' -f1 numbers | sort | uniq -c | sort -rn | head -n 20
sort -R --random-source=numbers numbers | sha256sum; shuf --random-source=numbers numbers | sha256sum
for tool in 'gzip -n -1' 'gzip -n -6' 'gzip -n -9' 'bzip2 -9' 'xz -1' 'xz -6 -T1' 'xz --x86 --lzma2=preset=3' 'xz --format=lzma -2' \
  'zstd -q -1 --single-thread' 'zstd -q -9 --single-thread' 'zstd -q -19 --single-thread'; do
  echo "$tool"
  head -c 400000 numbers >input && $tool -c <input | tee packed | sha256sum && ${tool%% *} -q -d -c <packed | sums input
  head -c 300000 /bin/bash >input && $tool -c <input | tee packed | sha256sum && ${tool%% *} -q -d -c <packed | sums input
done
for tool in md5sum sha1sum sha224sum sha512sum b2sum 'cksum -a crc' 'cksum -a sm3' 'cksum -a bsd' 'cksum -a sysv'; do
  echo "$tool $($tool </bin/bash)"
done
base64 /bin/ls | base64 -d | cmp - /bin/ls && base32 /bin/ls | sha256sum
seq -f %.10g 0 0.37 3000 | sha256sum; seq 1 3000 | factor | sha256sum
factor 18446744073709551557 340282366920938463463374607431768211297 1000000016000000063
numfmt --to=iec 123456789 9999999999; printf '%.20f %a %e\n' 0.1 0.1 0.1 1e300 2.5 -7
od -A x -t fD -t x1z -N 4000 /bin/ls | sha256sum; od -t fL -N 4000 /bin/ls | sha256sum; od -t f4 -N 4000 /bin/ls | sha256sum
grep -c -E '(1|2)+3.*[4-6]{2}' numbers; grep -o -P '(?<=7)\d+(?=1)' numbers | sha256sum; grep -w -F -f input numbers -c
sed -E 's/([0-9])([0-9])/\2\1/g; /00/d; 5~7y/123/abc/' numbers | sha256sum
tr 0-9 a-j <numbers | rev | fold -w 37 | tac | sha256sum; wc numbers; comm -12 numbers numbers | wc -l
tar cf - -C /usr/bin . --sort=name --mtime=@0 | sha256sum
find /usr/include -type f -print0 | sort -z | xargs -0 cat | md5sum
diff numbers input | sha256sum; split -n l/5 numbers part. && cat part.* | sums numbers
i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); s=$(((s * 31 + i) % 1000003)); done; echo "$s"
bash -c 'for ((i = 0; i < 20000; i++)); do a[i % 100]=$((a[i % 100] ^ i * i)); done; echo "${a[@]}" | sha256sum; printf "%s\n" {a..e}{1..3} "${a[5]//1/x}"'
