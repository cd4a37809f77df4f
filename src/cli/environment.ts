import { delimiter } from 'node:path';

import type { CliOptions } from './options.js';
import { parseDuration } from './values.js';

/**
 * What the options leave open, from the environment: NODEVM_KERNEL, NODEVM_INITRD (several parted by ":")
 * and NODEVM_TIMEOUT (as `--timeout`).
 * @throws NodevmError `E_USAGE`
 */
export function withEnvironment(options: CliOptions, env: NodeJS.ProcessEnv): CliOptions {
  const { NODEVM_KERNEL: kernel, NODEVM_INITRD: initrd, NODEVM_TIMEOUT: timeout } = env;
  const fromEnv = initrd === undefined || initrd === '' ? [] : initrd.split(delimiter);
  return {
    ...options,
    kernel: options.kernel ?? (kernel === '' ? undefined : kernel),
    initrd: options.initrd.length > 0 ? options.initrd : fromEnv,
    timeoutMs:
      options.timeoutMs ??
      (timeout === undefined || timeout === '' ? undefined : parseDuration(timeout)),
  };
}
