#!/usr/bin/env bash
# Builds the core and the oracle with AddressSanitizer and UndefinedBehaviorSanitizer in a temporary
# folder and runs a few cases of every row: npm run test:sanitize [-- oracle options].
set -euo pipefail
cd "$(dirname "$0")/../../.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

flags=(-std=c++20 -O1 -g -msse4.2 -mpopcnt -mcx16 -fno-rtti -fno-exceptions -Inative -Itest/cpu/oracle
  -fsanitize=address,undefined -fno-sanitize-recover=undefined -DNODEVM_NO_TAIL_CALLS)
# SIGSEGV is how the oracle learns of the host's page faults.
export ASAN_OPTIONS=allow_user_segv_handler=1:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:detect_stack_use_after_return=0

find native test/cpu/oracle -name '*.cc' ! -path 'native/addon/*' |
  xargs -P "$(nproc)" -I{} sh -c \
    'g++ '"${flags[*]}"' -c "$1" -o "$2/$(echo "$1" | tr / _).o"' sh {} "$build"
g++ -fsanitize=address,undefined -o "$build/oracle" "$build"/*.o
if [[ $# -gt 0 ]]; then
  "$build/oracle" "$@"
else
  "$build/oracle" --cases 40
  "$build/oracle" --random 5000
fi
