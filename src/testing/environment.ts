import { delimiter } from 'node:path';
import process from 'node:process';

import { parseDuration } from '../cli/values.js';
import { defaultImages } from '../images.js';
import type { BootOptions } from '../vm/boot-options.js';

/**
 * The guest that the environment names: NODEVM_KERNEL, NODEVM_INITRD (several parted by ":") and
 * NODEVM_TIMEOUT (60s, 2m); the default guest where it names no kernel.
 * @throws NodevmError `E_IMAGES` when there is no default guest, `E_USAGE` for a wrong time
 */
export async function guestFromEnvironment(
  env: NodeJS.ProcessEnv = process.env,
): Promise<BootOptions> {
  const { NODEVM_KERNEL: kernel = '', NODEVM_INITRD: initrd = '', NODEVM_TIMEOUT: time = '' } = env;
  const images = kernel === '' ? await defaultImages() : { kernel, initrd: [] };
  return {
    ...images,
    ...(initrd !== '' && { initrd: initrd.split(delimiter) }),
    ...(time !== '' && { timeout: parseDuration(time, 'NODEVM_TIMEOUT') }),
  };
}
