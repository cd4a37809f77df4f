/**
 * Makes the default guest where it is missing: `npm start` and `npm test` run this first. It never
 * fails them: without the guest, the command line says what to pass instead, and the boot tests fail.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { findImages } from '../images.js';

if ((await findImages()) === undefined) {
  const build = fileURLToPath(new URL('../images/build.js', import.meta.url));
  // Our own words belong on stderr: stdout is the guest's.
  spawnSync(process.execPath, [build], { stdio: ['inherit', process.stderr.fd, 'inherit'] });
}
