/**
 * Boot programs from Debian's packages that call the ROM, and other ROMs: `npm run images:bios` fetches them,
 * and tests of those that are not there are skipped.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { stateDirectory } from '../../src/images.js';

/** Where they are kept. */
export const BIOS_IMAGES = join(stateDirectory(), 'images', 'bios');

/** By package: the files that are taken, each under its last name. */
export const BIOS_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  seabios: ['./usr/share/seabios/bios.bin', './usr/share/seabios/bios-256k.bin'],
  'memtest86+': ['./boot/memtest86+x64.bin', './boot/memtest86+ia32.bin'],
  ipxe: ['./boot/ipxe.lkrn'],
  'syslinux-common': ['./usr/lib/syslinux/memdisk'],
};

/** Sectors of the disk that GRUB starts Linux from, without a file system; see {@link linuxDisk}. */
const KERNEL = { sector: 2048, sectors: 38912 };
const INITRD = { sector: 40960, sectors: 4096 };
const SECTOR_SIZE = 512;
const FLOPPY_SIZE = 1_474_560;

/** GRUB core images that are made of Debian's modules, with their embedded configuration. */
export const GRUB_CORES: Readonly<Record<string, string>> = {
  'grub-shell.img': 'echo "GRUB has started"\n',
  'grub-linux.img': [
    `linux (hd0)${KERNEL.sector}+${KERNEL.sectors} console=ttyS0`,
    `initrd (hd0)${INITRD.sector}+${INITRD.sectors}`,
    'boot',
    '',
  ].join('\n'),
};

/** Modules in the cores. */
export const GRUB_MODULES = ['biosdisk', 'echo', 'ls', 'linux', 'normal', 'boot'] as const;

/** Path of an image. */
export function biosImage(name: string): string {
  return join(BIOS_IMAGES, name);
}

/** Whether all of these images are there; says how to get them where not. */
export function haveBiosImages(...names: readonly string[]): boolean {
  const missing = names.filter((name) => !existsSync(biosImage(name)));
  if (missing.length > 0) {
    process.stderr.write(`skipped: ${missing.join(', ')} not there, see npm run images:bios\n`);
  }
  return missing.length === 0;
}

/** A floppy with GRUB, as grub-mkimage's manual has it: boot.img, and the core from sector 1 on. */
export function grubFloppy(): Uint8Array {
  return place(FLOPPY_SIZE, [
    [0, 'boot.img'],
    [1, 'grub-shell.img'],
  ]);
}

/** A kernel in appearance: GRUB's own header for Linux loaders, and the core. */
export function grubAsKernel(): Uint8Array {
  return Buffer.concat(
    ['lnxboot.img', 'grub-shell.img'].map((name) => readFileSync(biosImage(name))),
  );
}

/** A disk from which GRUB starts this kernel with this initramfs. */
export function linuxDisk(kernel: string, initrd: string): Uint8Array {
  return place((INITRD.sector + INITRD.sectors) * SECTOR_SIZE, [
    [0, 'boot.img'],
    [1, 'grub-linux.img'],
    [KERNEL.sector, kernel],
    [INITRD.sector, initrd],
  ]);
}

/** An image of that many bytes with files at sectors; names without a folder are of {@link BIOS_IMAGES}. */
function place(size: number, files: readonly (readonly [number, string])[]): Uint8Array {
  const image = new Uint8Array(size);
  for (const [sector, name] of files) {
    const path = name.includes('/') ? name : biosImage(name);
    image.set(readFileSync(path), sector * SECTOR_SIZE);
  }
  return image;
}
