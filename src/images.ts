/** Where the default guest lies once `npm run images` has made it. */
import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { NodevmError } from './errors.js';

/** Debian's names for its kernels: the one for clouds is smaller and boots faster. */
export const FLAVOURS = ['cloud-amd64', 'amd64'] as const;

/** Which of Debian's kernels. */
export type Flavour = (typeof FLAVOURS)[number];

/** What is booted when no kernel is named. */
export const DEFAULT_FLAVOUR: Flavour = 'cloud-amd64';

/** Paths of a guest's files. */
export interface GuestImages {
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * The directory for files that nodevm makes and keeps: `$XDG_STATE_HOME/nodevm`, by default
 * `~/.local/state/nodevm` (XDG Base Directory Specification).
 */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_STATE_HOME ?? '';
  // The specification has relative paths ignored.
  return join(isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'nodevm');
}

/** Where a guest's files are, or will be. */
export function imagePaths(flavour: Flavour = DEFAULT_FLAVOUR): GuestImages {
  const directory = join(stateDirectory(), 'images');
  return {
    kernel: join(directory, `vmlinuz-${flavour}`),
    initrd: join(directory, 'initrd.cpio.gz'),
  };
}

/** The guest's files, undefined unless all of them can be read. */
export async function findImages(
  flavour: Flavour = DEFAULT_FLAVOUR,
): Promise<GuestImages | undefined> {
  const images = imagePaths(flavour);
  const readable = await Promise.all([images.kernel, images.initrd].map(isReadable));
  return readable.every(Boolean) ? images : undefined;
}

/**
 * The guest's files.
 * @throws NodevmError `E_IMAGES` saying how to make them when they are not there.
 */
export async function defaultImages(flavour: Flavour = DEFAULT_FLAVOUR): Promise<GuestImages> {
  const images = await findImages(flavour);
  if (images !== undefined) return images;
  const { kernel } = imagePaths(flavour);
  const option = flavour === DEFAULT_FLAVOUR ? '' : ` -- --flavour ${flavour}`;
  throw new NodevmError(
    'E_IMAGES',
    `the default guest is not there (${kernel}): run "npm run images${option}" to make it, or pass --kernel and --initrd`,
  );
}

/** Whether this process may read the file. */
export async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
