import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { makeKernel, SETUP_SIZE } from '../support/kernel-fixture.js';

/** Where the 64-bit entry is in a bzImage's protected-mode code (Linux boot protocol). */
const ENTRY_64 = 0x200;

/** What the guests below write to isa-debug-exit when they end, and the status that comes of it. */
export const EXIT_VALUE = 0x10;
export const EXIT_STATUS = (EXIT_VALUE << 1) | 1;
export const DEBUG_EXIT = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];

const LINE_STATUS = [0x66, 0xba, 0xfd, 0x03]; // mov dx, 0x3fd
const DATA_PORT = [0x66, 0xba, 0xf8, 0x03]; // mov dx, 0x3f8
const IN_AL = 0xec;
const OUT_AL = 0xee;
const END = [0xb0, EXIT_VALUE, 0xe6, 0xf4, 0xeb, 0xfe]; // mov al, ..; out 0xf4, al; jmp $

const print = (text: string) => [
  ...DATA_PORT,
  ...[...Buffer.from(text)].flatMap((byte) => [0xb0, byte, OUT_AL]),
];

/** Prints READY, then sends each byte back until it has sent `!`. */
export function echoGuest(): Uint8Array {
  const poll = [...LINE_STATUS, IN_AL, 0xa8, 0x01, 0x74, 0xfb]; // in al, dx; test al, 1; jz in
  const echo = [...DATA_PORT, IN_AL, OUT_AL, 0x3c, '!'.charCodeAt(0)]; // ...; cmp al, '!'
  const back = -(poll.length + echo.length + 2);
  return kernel([...print('READY\r\n'), ...poll, ...echo, 0x75, back & 0xff, ...END]); // jne poll
}

/** Prints `length` times x, then ends. */
export function floodGuest(length: number): Uint8Array {
  const count = [...new Uint8Array(Uint32Array.of(length).buffer)];
  const setup = [...DATA_PORT, 0xb0, 'x'.charCodeAt(0), 0xb9, ...count]; // mov al, 'x'; mov ecx, n
  return kernel([...setup, OUT_AL, 0xff, 0xc9, 0x75, 0xfb, ...END]); // out; dec ecx; jnz out
}

/** Loads an IDT with nothing in it and raises an exception: a triple fault. */
export function crashGuest(): Uint8Array {
  return kernel([0x6a, 0x00, 0x6a, 0x00, 0x0f, 0x01, 0x1c, 0x24, 0x0f, 0x0b]); // push 0 x2; lidt [rsp]; ud2
}

/** A kernel that gives up at once: HLT with interrupts off. */
export function haltingGuest(): Uint8Array {
  return kernel([0xfa, 0xf4]); // cli; hlt
}

function kernel(code: readonly number[]): Uint8Array {
  const image = makeKernel();
  image.set(code, SETUP_SIZE + ENTRY_64);
  return image;
}

/** A directory of this run's own for files that a test writes. */
export const scratch = mkdtempSync(join(tmpdir(), 'nodevm-test-'));

/** Writes a file into {@link scratch} and gives its path. */
export function file(name: string, bytes: Uint8Array | string): string {
  const path = join(scratch, name);
  writeFileSync(path, bytes);
  return path;
}
