/** Files of the host in an archive for the guest, at the same paths. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import type { InitramfsEntry } from '../../src/initramfs/index.js';
import { packInitramfs } from '../../src/initramfs/index.js';

/** Collects files; directories come by themselves. */
export class InitramfsBuilder {
  readonly #entries = new Map<string, InitramfsEntry>();

  /** `path` is without leading slash. A path that is there already stays as it is. */
  addFile(path: string, data: Uint8Array, mode: number): void {
    if (this.#entries.has(path)) return;
    const segments = path.split('/');
    for (let n = 1; n < segments.length; n++) {
      const directory = segments.slice(0, n).join('/');
      if (!this.#entries.has(directory))
        this.#entries.set(directory, { type: 'dir', path: directory, mode: 0o755 });
    }
    this.#entries.set(path, { type: 'file', path, data, mode });
  }

  /** A file of the host at its own path. */
  addHostFile(path: string): void {
    this.addFile(path.slice(1), readFileSync(path), 0o755);
  }

  /** An executable and the libraries that ldd(1) names. */
  addExecutable(path: string): void {
    this.addHostFile(path);
    const listed = execFileSync('ldd', [path], { encoding: 'utf8' });
    for (const [, library = ''] of listed.matchAll(/(?:=>\s*|^\s+)(\/\S+)/gm))
      this.addHostFile(library);
  }

  /** The archive, uncompressed. */
  pack(): Uint8Array {
    return packInitramfs(this.#entries.values());
  }
}
