/**
 * Debian's kernel for clouds with the initramfs that Debian's initramfs-tools make for it:
 * `npm run images:initramfs-tools` makes it, and tests of it are skipped where it is not there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { stateDirectory } from '../../src/images.js';

/** Where they are kept. */
export const INITRAMFS_TOOLS_FOLDER = join(stateDirectory(), 'images', 'initramfs-tools');

/** The files. The kernel is that of the modules in the initramfs. */
export const INITRAMFS_TOOLS_IMAGES = {
  kernel: join(INITRAMFS_TOOLS_FOLDER, 'vmlinuz'),
  initrd: join(INITRAMFS_TOOLS_FOLDER, 'initrd.img'),
  /** An ext2 file system with klibc's programs in /bin, and {@link RAM_DISK_INIT}. */
  ramDisk: join(INITRAMFS_TOOLS_FOLDER, 'root.ext2'),
} as const;

/** /sbin/init of the ext2 file system. */
export const RAM_DISK_INIT = `#!/bin/sh
cat /proc/mounts
echo written >/file && cat /file
poweroff
`;

/** Whether the files are there; says how to get them where not. */
export function haveInitramfsToolsImages(): boolean {
  const missing = Object.values(INITRAMFS_TOOLS_IMAGES).filter((path: string) => !existsSync(path));
  if (missing.length > 0) {
    const hint = 'see npm run images:initramfs-tools';
    process.stderr.write(`skipped: ${missing.join(', ')} not there, ${hint}\n`);
  }
  return missing.length === 0;
}
