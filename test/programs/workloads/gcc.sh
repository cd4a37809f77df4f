# gcc compiling a program with several options, the code it makes, and what the program prints.
cd /tmp || exit 1
build() {
  gcc "$@" -w -o program /judge/program.c -lm || return
  gcc "$@" -w -S -o - /judge/program.c | sha256sum
  echo "== $*"
  ./program
}
for options in -O0 -O1 -O2 -O3 -Os '-O3 -ffast-math' '-O2 -mfpmath=387' '-O2 -fsanitize=undefined -static-libubsan' \
  '-O2 -flto -frandom-seed=1' '-O3 -march=x86-64-v2' '-O2 -static'; do
  build $options
done
for options in '-m32 -O0' '-m32 -O2' '-m32 -O3 -ffast-math' '-m32 -O3 -march=prescott -mfpmath=sse' '-m32 -O2 -static -march=i486'; do
  gcc $options -w -o program /judge/program.c -lm && echo "== $options" && ./program
done
if [ "$JUDGE_V3" = 1 ]; then
  for options in '-O2 -march=x86-64-v3' '-O3 -march=x86-64-v3 -ffast-math' '-O3 -march=haswell -mprefer-vector-width=256'; do
    build $options
  done
fi
echo 'int main(void) { __builtin_trap(); }' >trap.c && gcc trap.c -o trap && { ./trap; echo "status $?"; } 2>/dev/null
echo 'int main(int n, char **v) { return 5 / (n - 1); }' >zero.c && gcc zero.c -o zero && { ./zero; echo "status $?"; } 2>/dev/null
