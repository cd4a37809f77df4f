import { createRequire } from 'node:module';

import { packageFile } from './package-file.js';

/** The version of this package. */
export const VERSION: string = (
  createRequire(import.meta.url)(packageFile('package.json')) as { version: string }
).version;
