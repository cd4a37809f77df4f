/**
 * Makes the default guest where it is missing, or was made with another init than this checkout's: `npm start` and `npm test` run this first. It never
 * fails them: without the guest, the command line says what to pass instead, and the boot tests fail.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';

import { findImages } from '../images.js';
import { holdsInit } from '../images/default-guest.js';
import { packageFile } from '../package-file.js';

const found = await findImages();
if (found === undefined || !(await holdsInit(found.initrd))) {
  // Our own words belong on stderr: stdout is the guest's.
  spawnSync(process.execPath, [packageFile('dist/images/build.js')], {
    stdio: ['inherit', process.stderr.fd, 'inherit'],
  });
}
