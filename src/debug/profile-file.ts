import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';

import { NodevmError } from '../errors.js';

/**
 * Writes a file whole or not at all.
 * @param option that named it, for the error
 * @throws NodevmError `E_FILE`
 */
export async function writeWhole(option: string, path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError(
      'E_FILE',
      `--${option} ${JSON.stringify(path)}: cannot be written: ${why}`,
      {
        cause,
      },
    );
  }
}
