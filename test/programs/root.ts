/**
 * The root directory that both sides run in: Debian packages with all that they depend on, unpacked and not
 * set up, and what the set-up would have done as far as the programs need it. It is made once, by apt and without
 * root, and kept in the state directory; nothing of it is part of this project.
 */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { stateDirectory } from '../../src/images.js';
import { PrivateApt } from '../../src/images/apt.js';
import { pipe } from '../../src/images/process.js';
import { packInitramfs, readDirectory } from '../../src/initramfs/index.js';

/** What the programs need, and what packages take for granted without naming it. */
const PACKAGES = [
  ...[
    'python3',
    'libpython3.11-testsuite',
    'python3-numpy',
    'openssl',
    'sqlite3',
    'perl',
    'luajit',
  ],
  ...[
    'gcc',
    'libc6-dev',
    'libc6-dev-i386',
    'lib32gcc-12-dev',
    'stress-ng',
    'bc',
    'mawk',
    'gzip',
    'bzip2',
    'xz-utils',
    'zstd',
  ],
  ...['libjpeg-turbo-progs', 'vpx-tools', 'aom-tools', 'dav1d', 'x265', 'flac'],
  ...['base-files', 'bash', 'coreutils', 'dash', 'debianutils', 'diffutils', 'findutils', 'grep'],
  ...['libc-bin', 'mount', 'sed', 'util-linux'],
];

/** Directories of the merged /usr, which are links at the root. */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64'];

/** A megabyte here is a megabyte of the guest's RAM. */
const LEFT_OUT = [
  ...['usr/share/doc', 'usr/share/man', 'usr/share/info', 'usr/share/locale'],
  ...[
    'usr/libx32',
    'usr/lib/gcc/x86_64-linux-gnu/12/x32',
    '*/liblsan*',
    '*/libtsan*',
    '*/libasan*',
  ],
];

/** Run in the new root: what the packages' set-up would have done. */
const SET_UP = `
printf 'root:x:0:0:root:/root:/bin/sh\\n' >/etc/passwd
printf 'root:x:0:\\n' >/etc/group
printf '127.0.0.1 localhost\\n' >/etc/hosts
ln -sf mawk /usr/bin/awk
printf '%s\\n' /usr/lib/x86_64-linux-gnu/blas /usr/lib/x86_64-linux-gnu/lapack >/etc/ld.so.conf.d/blas.conf
printf '/usr/lib32\\n' >/etc/ld.so.conf.d/lib32.conf
ldconfig
python3 -m compileall -qq --invalidation-mode unchecked-hash /usr/lib/python3.11 /usr/lib/python3 2>/dev/null || true
`;

/** Our own programs, which lie at /judge in the root directory. */
export const WORKLOADS = new URL('workloads', import.meta.url).pathname;
export const WORKLOADS_IN_ROOT = '/judge';

/** The root directory on the host, and as an initramfs for the guest. */
export interface ProgramRoot {
  readonly directory: string;
  readonly archive: string;
}

/**
 * The root directory, made where it is not there or is of other packages.
 * @throws NodevmError `E_IMAGES` when apt or dpkg-deb cannot do it
 */
export async function programRoot(log: (line: string) => void): Promise<ProgramRoot> {
  const folder = join(stateDirectory(), 'images', 'programs');
  const root = { directory: join(folder, 'root'), archive: join(folder, 'root.cpio') };
  const stamp = join(folder, 'recipe');
  const recipe = [...PACKAGES, ...LEFT_OUT, SET_UP].join('\n');
  if ((await readFile(stamp, 'utf8').catch(() => '')) !== recipe) {
    log('making the root directory of the programs');
    await rm(folder, { recursive: true, force: true });
    await mkdir(root.directory, { recursive: true });
    await unpackAll(root.directory);
    runInRoot(root.directory, SET_UP);
    const entries = await readDirectory(root.directory);
    await writeFile(`${root.archive}.new`, packInitramfs(entries));
    await rename(`${root.archive}.new`, root.archive);
    await writeFile(stamp, recipe);
  }
  await cp(WORKLOADS, join(root.directory, WORKLOADS_IN_ROOT), { recursive: true });
  return root;
}

/** The workloads of this checkout, to go behind the root directory's archive. */
export async function packWorkloads(): Promise<Uint8Array> {
  const prefix = WORKLOADS_IN_ROOT.slice(1);
  const entries = await readDirectory(WORKLOADS);
  return packInitramfs([
    { path: prefix, type: 'dir' },
    ...entries.map((entry) => ({ ...entry, path: `${prefix}/${entry.path}` })),
  ]);
}

async function unpackAll(root: string): Promise<void> {
  const apt = await PrivateApt.create(join(stateDirectory(), 'apt'));
  await apt.update();
  for (const name of MERGED) {
    await mkdir(join(root, 'usr', name), { recursive: true });
    await symlink(join('usr', name), join(root, name));
  }
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'root']) await mkdir(join(root, name));
  const options = ['-C', root, '--no-same-owner', '--keep-directory-symlink'];
  const exclusions = LEFT_OUT.map((path) => `--exclude=${path.startsWith('*') ? '' : './'}${path}`);
  for (const deb of await apt.downloadWithDependencies(PACKAGES)) {
    await pipe(
      ['dpkg-deb', '--fsys-tarfile', deb],
      ['tar', '-x', '-f', '-', ...options, ...exclusions],
    );
  }
}

/** Enters the root directory; a user namespace makes that possible without root. */
export const CHROOT = [
  ...['unshare', '--map-root-user', '--mount', '--pid', '--fork', 'sh', '-c'],
  'mount --rbind /dev "$0/dev" && mount --rbind /sys "$0/sys" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/tmp" && exec chroot "$0" sh -c "$1"',
] as const;

function runInRoot(root: string, script: string): void {
  const [command, ...args] = [...CHROOT, root, `set -e\n${script}`];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
  execFileSync(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
}
