/**
 * Runs the guests under qemu-system-x86_64: a second opinion on their expectations, not part of CI.
 *
 *     npx tsx test/cpu/guests/qemu.ts [NAME...]
 *
 * Prints each check that QEMU fails. QEMU is a hint, the SDM decides. TCG of QEMU 7.2 is known to differ:
 * no segment limits and types on data accesses, no #AC, no VME, no RF in frames, no PCID or x2APIC, reserved
 * bits reported without P, #GP where non-canonical stack accesses are #SS, IDT error codes doubled in long
 * mode, stores of vectors that are half done when the second page faults. Some guests hang there for these
 * reasons.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildGuest, GUEST_BASE, guestNames } from '../../support/guest-runner.js';

/** After that long a guest is taken to hang. */
const TIMEOUT_MS = 10_000;

/** A ROM that jumps to the guest: QEMU wants at least 64 KiB, the reset vector is 16 bytes from its end. */
function resetRom(): Uint8Array {
  const rom = new Uint8Array(0x1_0000);
  rom.set([0xea, GUEST_BASE & 0xff, GUEST_BASE >> 8, 0, 0], rom.length - 16);
  return rom;
}

function runGuest(name: string, rom: string, folder: string): void {
  // A file, since QEMU drops what a pipe has no room for.
  const output = join(folder, `${name}.txt`);
  const loader = `loader,file=${buildGuest(name)},addr=${GUEST_BASE},force-raw=on`;
  const { error } = spawnSync(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg', '-cpu', 'max,vendor=GenuineIntel', '-m', '64', '-bios', rom],
      ...['-display', 'none', '-nodefaults', '-serial', `file:${output}`, '-no-reboot'],
      ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-device', loader],
    ],
    { stdio: 'ignore', timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
  const lines = [...new Set(readFileSync(output, 'latin1').split('\n').filter(Boolean))];
  const failed = lines.filter((line) => line.startsWith('FAIL'));
  const ended = lines.some((line) => line.startsWith('done:'));
  const passed = lines.filter((line) => line.startsWith('ok ')).length;
  console.log(
    `${name}: ${passed} passed, ${failed.length} failed${ended ? '' : ', did not finish'}`,
  );
  for (const line of failed) console.log(`  ${line}`);
}

const folder = mkdtempSync(join(tmpdir(), 'nodevm-qemu-'));
try {
  const rom = join(folder, 'reset.bin');
  writeFileSync(rom, resetRom());
  const names = process.argv.slice(2);
  for (const name of names.length > 0 ? names : guestNames()) runGuest(name, rom, folder);
} finally {
  rmSync(folder, { recursive: true });
}
