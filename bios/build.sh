#!/bin/sh
# Assembles the ROM with GNU binutils: build.sh [OUTPUT]; the committed image where none is named.
set -eu
cd "$(dirname "$0")"
output=${1:-nodevm.rom}
object=$(mktemp)
trap 'rm -f "$object"' EXIT
as --32 -o "$object" rom.s
ld -m elf_i386 -Ttext 0 --oformat binary -o "$output" "$object"
chmod 644 "$output"
