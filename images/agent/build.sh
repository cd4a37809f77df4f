#!/bin/sh
# Makes images/agent/agent anew: a static program without a C library. Needs gcc for x86-64 Linux and
# sha256sum. The result is checked in, so that users need neither.
set -eu
cd "$(dirname "$0")"
gcc -std=gnu17 -Os -Wall -Wextra -Werror -DSOURCE_HASH="\"$(sha256sum <agent.c | cut -d' ' -f1)\"" \
  -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -fcf-protection=none \
  -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
  -Wl,-z,norelro,-z,noseparate-code,-z,noexecstack,--build-id=none -s -o agent agent.c
