/**
 * Makes the default guest: Debian's kernel as it is, and an initramfs of Debian's static BusyBox and our
 * own /init. Nothing of it is part of this project; it goes to the user's state directory.
 */
import {
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'fflate';
import { NodevmError } from '../errors.js';
import {
  imagePaths,
  isReadable,
  stateDirectory,
  type Flavour,
  type GuestImages,
} from '../images.js';
import { packInitramfs, type InitramfsEntry } from '../initramfs/cpio.js';
import { readInitramfs } from '../initramfs/segments.js';
import { packageFile } from '../package-file.js';
import { PrivateApt, unpack, type Package } from './apt.js';
import { capture } from './process.js';

const BUSYBOX_PACKAGE = 'busybox-static';

/** Our /init. */
const INIT_SCRIPT = packageFile('images/init');

/** Where packages put BusyBox, before and after the merge of /bin into /usr/bin. */
const BUSYBOX_PATHS = ['bin/busybox', 'usr/bin/busybox'];

/** Directories of the guest: mount points, a home, and where BusyBox links its applets. */
const DIRECTORIES = [
  'bin',
  'dev',
  'etc',
  'proc',
  'root',
  'run',
  'sbin',
  'sys',
  'tmp',
  'usr',
  'usr/bin',
  'usr/sbin',
];

/** Needed before devtmpfs is there: the kernel opens /dev/console for init itself. */
const CONSOLE: InitramfsEntry = {
  path: 'dev/console',
  type: 'char',
  mode: 0o600,
  major: 5,
  minor: 1,
};

/**
 * Downloads the packages, takes out kernel and BusyBox, packs the initramfs.
 * @param log gets a line for each step.
 * @throws NodevmError `E_IMAGES` when the host has no apt or its sources lack a package.
 */
export async function buildDefaultGuest(
  flavour: Flavour,
  log: (line: string) => void,
): Promise<GuestImages> {
  await requireTools();
  const apt = await PrivateApt.create(join(stateDirectory(), 'apt'));
  log('fetching package lists');
  await apt.update();
  const kernelPackage = await findKernelPackage(apt, flavour);
  const images = imagePaths(flavour);
  const directory = dirname(images.kernel);
  await mkdir(directory, { recursive: true });

  // Within the target directory, so that a rename puts the finished files into place.
  const work = await mkdtemp(join(directory, 'work-'));
  try {
    const fetch = async (wanted: Package): Promise<string> => {
      log(`package ${wanted.name} ${wanted.version}`);
      return apt.download(wanted);
    };
    const kernel = await extractKernel(await fetch(kernelPackage), work);
    const busybox = await extractBusybox(await fetch(await apt.find(BUSYBOX_PACKAGE)), work);
    log('packing the initramfs');
    const initrd = join(work, 'initrd');
    await writeFile(initrd, await buildInitramfs(busybox));
    await rename(kernel, images.kernel);
    await rename(initrd, images.initrd);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  log(`kernel ${images.kernel}`);
  log(`initrd ${images.initrd}`);
  return images;
}

/** The initramfs, gzipped; the same BusyBox gives the same bytes. */
export async function buildInitramfs(busybox: Uint8Array): Promise<Uint8Array> {
  const entries: readonly InitramfsEntry[] = [
    ...DIRECTORIES.map((path): InitramfsEntry => ({ path, type: 'dir' })),
    CONSOLE,
    { path: 'bin/busybox', type: 'file', mode: 0o755, data: busybox },
    { path: 'init', type: 'file', mode: 0o755, data: await readFile(INIT_SCRIPT) },
  ];
  return gzipSync(packInitramfs(entries), { level: 9, mtime: 0 });
}

async function requireTools(): Promise<void> {
  try {
    for (const tool of ['apt-get', 'dpkg-deb', 'tar']) await capture(tool, ['--version']);
  } catch (cause) {
    const kernels = await readableHostKernels();
    const offer =
      kernels.length === 0
        ? ''
        : `; a kernel of this machine can be read: pass --kernel ${kernels.join(' or --kernel ')}`;
    throw new NodevmError(
      'E_IMAGES',
      `the default guest is made from Debian packages, but this machine has no working apt-get, dpkg-deb and tar: pass --kernel with a bzImage and --initrd with an initramfs instead${offer}`,
      { cause },
    );
  }
}

async function readableHostKernels(): Promise<readonly string[]> {
  const names = await readdir('/boot').catch((): string[] => []);
  const kernels = names.filter((name) => name.startsWith('vmlinuz-')).map((n) => join('/boot', n));
  const readable = await Promise.all(kernels.map(isReadable));
  return kernels.filter((_, index) => readable[index]);
}

/** linux-image-FLAVOUR is a package without content that depends on the newest kernel. */
export async function findKernelPackage(apt: PrivateApt, flavour: string): Promise<Package> {
  const meta = await apt.find(`linux-image-${flavour}`);
  const dependency = /\blinux-image-[^\s,]+/.exec(meta.depends)?.[0];
  return dependency === undefined ? meta : apt.find(dependency);
}

/** Takes the kernel out of its package to a file below `work`, and returns the file's path. */
export async function extractKernel(deb: string, work: string): Promise<string> {
  await unpack(deb, './boot/vmlinuz-*', work);
  const [name, ...others] = await readdir(join(work, 'boot'));
  if (name === undefined || others.length > 0) {
    throw new NodevmError('E_IMAGES', `${deb} has ${others.length} more kernels, expected one`);
  }
  const kernel = join(work, 'kernel');
  await copyFile(join(work, 'boot', name), kernel);
  return kernel;
}

/** Takes BusyBox out of its package, by way of files below `work`. */
export async function extractBusybox(deb: string, work: string): Promise<Uint8Array> {
  await unpack(deb, '*bin/busybox', work);
  for (const path of BUSYBOX_PATHS.map((candidate) => join(work, candidate))) {
    if (await isReadable(path)) return readFile(path);
  }
  throw new NodevmError('E_IMAGES', `${deb} has no ${BUSYBOX_PATHS.join(' or ')}`);
}

/** Whether the archive at `path` has this checkout's init; false for what is no archive. */
export async function holdsInit(path: string): Promise<boolean> {
  try {
    const [archive, script] = await Promise.all([readFile(path), readFile(INIT_SCRIPT)]);
    const init = readInitramfs(archive).find((entry) => entry.path === 'init');
    return init?.type === 'file' && script.equals(init.data);
  } catch (error) {
    if (error instanceof NodevmError) return false;
    throw error;
  }
}
