/**
 * More kernels than the default guest's, from Debian's packages, for the tests of the boot protocols:
 * `npm run images:doors` fetches them, and tests of those that are not there are skipped.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { stateDirectory } from '../../src/images.js';

/** Where they are kept. */
export const DOOR_IMAGES = join(stateDirectory(), 'images', 'doors');

/** Debian's names for the kernels, by architecture. */
export const DOOR_KERNELS = {
  amd64: ['rt-amd64'],
  i386: ['686', '686-pae', 'rt-686-pae'],
} as const;

/** Initramfs with BusyBox for 32-bit kernels. */
export const INITRD_I386 = join(DOOR_IMAGES, 'initrd-i386.cpio.gz');

/** Memory testers of package memtest86+. */
export const MEMTESTS = ['memtest86+x64.bin', 'memtest86+ia32.bin'] as const;

/** Path of a kernel. */
export function doorKernel(flavour: string): string {
  return join(DOOR_IMAGES, `vmlinuz-${flavour}`);
}

/** Whether all of these files are there; says how to get them where not. */
export function haveImages(...paths: readonly string[]): boolean {
  const missing = paths.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    process.stderr.write(`skipped: ${missing.join(', ')} not there, see npm run images:doors\n`);
  }
  return missing.length === 0;
}
