/**
 * `npm run images:initramfs-tools`, see initramfs-tools-images.ts. mkinitramfs has its paths built in, so it
 * runs in a root directory of its own, made of unpacked packages. A user namespace makes chroot possible
 * without root, and a mount namespace lends it /dev and /proc; nothing of this machine is changed.
 */
import { execFileSync } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { stateDirectory } from '../../src/images.js';
import { PrivateApt } from '../../src/images/apt.js';
import { pipe } from '../../src/images/process.js';
import {
  INITRAMFS_TOOLS_FOLDER,
  INITRAMFS_TOOLS_IMAGES,
  RAM_DISK_INIT,
} from './initramfs-tools-images.js';

/** What is wanted, and the tools that packages take for granted without naming them. */
const PACKAGES = [
  'linux-image-cloud-amd64',
  'initramfs-tools',
  'busybox',
  'e2fsprogs',
  'zstd',
  ...['base-files', 'bash', 'coreutils', 'dash', 'debianutils', 'findutils', 'grep', 'gzip'],
  ...['libc-bin', 'mawk', 'sed', 'util-linux'],
];

/** Directories of the merged /usr, which are links at the root. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

/** Run with the new root as $0 and the rest as the kernel's version and the size of the RAM disk. */
const MAKE_IMAGES = `
mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" &&
exec chroot "$0" sh -ec '
  depmod "$1"
  mkinitramfs -o /initrd.img "$1"
  mke2fs -q -t ext2 -d /ram-disk /root.ext2 "$2"
' sh "$@"
`;

/** Within the 16 MiB that the driver has by default. */
const RAM_DISK_SIZE = '4M';

/** A root directory with all packages unpacked and none set up. */
async function makeRoot(apt: PrivateApt, root: string): Promise<void> {
  for (const name of MERGED) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(join('usr', name), join(root, name));
  }
  for (const name of ['dev', 'proc']) await mkdir(join(root, name));
  const options = ['-C', root, '--no-same-owner', '--keep-directory-symlink'];
  for (const deb of await apt.downloadWithDependencies(PACKAGES)) {
    await pipe(['dpkg-deb', '--fsys-tarfile', deb], ['tar', '-x', '-f', '-', ...options]);
  }
  // What the package's set-up would choose among the kinds of awk.
  await symlink('mawk', join(root, 'usr/bin/awk'));
}

/** What goes on the RAM disk, below /ram-disk of the root directory. */
async function makeRamDisk(root: string): Promise<void> {
  const target = join(root, 'ram-disk');
  for (const name of ['dev', 'lib', 'proc', 'run', 'sbin', 'sys']) {
    await mkdir(join(target, name), { recursive: true });
  }
  await cp(join(root, 'usr/lib/klibc/bin'), join(target, 'bin'), { recursive: true });
  // The interpreter that all of them name.
  const libraries = await readdir(join(root, 'usr/lib'));
  for (const name of libraries.filter((candidate) => /^klibc-.*\.so$/.test(candidate))) {
    await copyFile(join(root, 'usr/lib', name), join(target, 'lib', name));
  }
  await writeFile(join(target, 'sbin/init'), RAM_DISK_INIT, { mode: 0o755 });
}

/** The version that names the directory of the modules. */
async function kernelVersion(root: string): Promise<string> {
  const [version, ...others] = await readdir(join(root, 'usr/lib/modules'));
  if (version === undefined || others.length > 0) {
    throw new Error(`the packages have ${others.length + 1} directories of modules, expected one`);
  }
  return version;
}

await mkdir(INITRAMFS_TOOLS_FOLDER, { recursive: true });
// The default guest's: its kernel is there already.
const apt = await PrivateApt.create(join(stateDirectory(), 'apt'));
await apt.update();
const root = await mkdtemp(join(INITRAMFS_TOOLS_FOLDER, 'root-'));
try {
  await makeRoot(apt, root);
  await makeRamDisk(root);
  const version = await kernelVersion(root);
  execFileSync(
    'unshare',
    ['--map-root-user', '--mount', 'sh', '-c', MAKE_IMAGES, root, version, RAM_DISK_SIZE],
    // The host's variables are not those of the new root.
    { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' }, stdio: 'inherit' },
  );
  await copyFile(join(root, 'boot', `vmlinuz-${version}`), INITRAMFS_TOOLS_IMAGES.kernel);
  await copyFile(join(root, 'initrd.img'), INITRAMFS_TOOLS_IMAGES.initrd);
  await copyFile(join(root, 'root.ext2'), INITRAMFS_TOOLS_IMAGES.ramDisk);
} finally {
  await rm(root, { recursive: true });
}
for (const path of Object.values(INITRAMFS_TOOLS_IMAGES)) process.stderr.write(`${path}\n`);
