import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

import { NodevmError } from './errors.js';
import type { NativeAddon } from './native.js';
import { packageFile } from './package-file.js';

/** Where node-gyp leaves the addon. */
const PLACES = ['build/Release/nodevm.node', 'build/Debug/nodevm.node'] as const;

/**
 * Loads the C++ addon.
 * @throws NodevmError `E_NATIVE` when it was not built or does not load; the message says where it
 * was looked for and what to run
 */
export function loadNative(): NativeAddon {
  const candidates = PLACES.map(packageFile);
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new NodevmError(
      'E_NATIVE',
      `the native addon is not built: looked for ${candidates.join(' and ')}; ` +
        "run 'npm run build:native' (needs python3, make and a C++20 compiler)",
    );
  }
  try {
    return createRequire(import.meta.url)(path) as NativeAddon;
  } catch (cause) {
    throw new NodevmError(
      'E_NATIVE',
      `the native addon ${path} does not load into Node ${process.version}: ` +
        `${cause instanceof Error ? cause.message : String(cause)}; run 'npm run build:native'`,
      { cause },
    );
  }
}
