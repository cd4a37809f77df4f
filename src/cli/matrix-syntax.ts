import { parse as parseToml } from 'smol-toml';

import { NodevmError } from '../errors.js';

/**
 * The top-level table of a matrix, which is TOML where the file's name ends in .toml, else JSON.
 * @throws NodevmError `E_USAGE` where the text is not of the syntax that the file's name promises
 */
export function parseMatrixText(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = path.endsWith('.toml') ? parseToml(text) : JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_USAGE', `matrix ${path}: ${why}`, { cause });
  }
  throw new NodevmError('E_USAGE', `matrix ${path} is not a table, expected one`);
}
