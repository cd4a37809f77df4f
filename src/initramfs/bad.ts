import { NodevmError } from '../errors.js';

/** An `E_BAD_INITRD` error; `what` names the field, its value and what was expected. */
export function badInitrd(what: string, cause?: unknown): NodevmError {
  return new NodevmError('E_BAD_INITRD', what, cause === undefined ? undefined : { cause });
}
