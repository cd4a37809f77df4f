/**
 * Packages from the host's own apt sources, without root: lists and downloads go to a private directory,
 * the sources and their signing keys are the system's.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { NodevmError } from '../errors.js';
import { isReadable } from '../images.js';
import { capture, pipe, show } from './process.js';

/** What the signed lists say of one package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** Debian's name for it; `all` for a package that has none of its own. */
  readonly architecture: string;
  /** Hex digest of the .deb file. */
  readonly sha256: string;
  /** The Depends field as it stands, '' where there is none. */
  readonly depends: string;
}

/** A private apt installation for packages of one architecture; nothing in it is ever installed. */
export class PrivateApt {
  readonly #directory: string;
  readonly #archives: string;
  readonly #options: readonly string[];

  private constructor(directory: string, architecture: string) {
    this.#directory = directory;
    this.#archives = join(directory, 'archives');
    const settings = {
      'Dir::State': directory,
      'Dir::State::lists': join(directory, 'lists'),
      'Dir::State::status': join(directory, 'status'),
      'Dir::Cache': directory,
      'Dir::Cache::archives': this.#archives,
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      // Root would otherwise download as a user who may not write to our directory.
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
    };
    this.#options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  }

  /** Makes the private directories. `architecture` is Debian's name for it. */
  static async create(directory: string, architecture = 'amd64'): Promise<PrivateApt> {
    const apt = new PrivateApt(directory, architecture);
    await mkdir(join(directory, 'lists', 'partial'), { recursive: true });
    await mkdir(join(apt.#archives, 'partial'), { recursive: true });
    await writeFile(join(directory, 'status'), ''); // no package is installed
    return apt;
  }

  /**
   * Fetches the lists. A failure is no error yet: it may be a source that has nothing to do with our
   * packages, and apt has told the user; {@link find} says what is missing in the end.
   */
  async update(): Promise<void> {
    await show('apt-get', [...this.#options, 'update'], this.#directory);
  }

  /**
   * Looks a package up in the lists.
   * @throws NodevmError `E_IMAGES` when no source has it.
   */
  async find(name: string): Promise<Package> {
    const text = await capture('apt-cache', [
      ...this.#options,
      'show',
      '--no-all-versions',
      name,
    ]).catch((error: unknown) => {
      throw new NodevmError(
        'E_IMAGES',
        `package ${name} is in none of this machine's apt sources`,
        {
          cause: error,
        },
      );
    });
    const field = (key: string): string => new RegExp(`^${key}: (.*)$`, 'm').exec(text)?.[1] ?? '';
    const [version, sha256] = [field('Version'), field('SHA256')];
    if (version === '' || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new NodevmError(
        'E_IMAGES',
        `the record of package ${name} has Version "${version}" and SHA256 "${sha256}", expected both`,
      );
    }
    const architecture = field('Architecture');
    return { name, version, architecture, sha256, depends: field('Depends') };
  }

  /**
   * Downloads a package (apt verifies it by the signed lists) and checks its digest once more.
   * @returns the path of the .deb file, which is kept for the next time.
   */
  async download(wanted: Package): Promise<string> {
    const path = this.#archivePath(wanted);
    if ((await isReadable(path)) && (await sha256Of(path)) === wanted.sha256) return path;

    const request = `${wanted.name}=${wanted.version}`;
    const status = await show('apt-get', [...this.#options, 'download', request], this.#archives);
    if (status !== 0) {
      throw new NodevmError('E_IMAGES', `apt-get download ${request} ended with status ${status}`);
    }
    const digest = await sha256Of(path);
    if (digest !== wanted.sha256) {
      throw new NodevmError(
        'E_IMAGES',
        `SHA256 of ${path} is ${digest}, expected ${wanted.sha256} by the package list`,
      );
    }
    return path;
  }

  /**
   * Downloads these packages and all that they depend on, as apt would to install them on an empty system;
   * apt verifies them by the signed lists.
   * @returns the paths of the .deb files, dependencies first.
   * @throws NodevmError `E_IMAGES` when one is not to be had.
   */
  async downloadWithDependencies(names: readonly string[]): Promise<readonly string[]> {
    const install = [...this.#options, 'install', '--no-install-recommends'];
    const plan = await capture('apt-get', [...install, '--simulate', ...names]);
    const request = [...install, '--download-only', '--yes', ...names];
    const status = await show('apt-get', request, this.#archives);
    if (status !== 0) {
      throw new NodevmError('E_IMAGES', `apt-get ${request.join(' ')} ended with status ${status}`);
    }
    // Inst NAME (VERSION SOURCES [ARCHITECTURE])
    const steps = plan.matchAll(/^Inst (\S+) \((\S+) .*\[(\S+)\]\)/gm);
    return [...steps].map(([, name = '', version = '', architecture = '']) =>
      this.#archivePath({ name, version, architecture }),
    );
  }

  /** Where apt puts a package. */
  #archivePath(wanted: Pick<Package, 'name' | 'version' | 'architecture'>): string {
    const quotedVersion = wanted.version.replaceAll(':', '%3a');
    return join(this.#archives, `${wanted.name}_${quotedVersion}_${wanted.architecture}.deb`);
  }
}

/**
 * Unpacks the members of a .deb file that match a shell pattern to below `directory`.
 * @throws NodevmError `E_IMAGES` when there are none, or the file is damaged.
 */
export async function unpack(deb: string, pattern: string, directory: string): Promise<void> {
  await pipe(
    ['dpkg-deb', '--fsys-tarfile', deb],
    ['tar', '-x', '-f', '-', '-C', directory, '--no-same-owner', '--wildcards', pattern],
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
