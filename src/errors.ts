/** Stable error codes; each names what was wrong with what the caller gave. */
export type ErrorCode =
  | 'E_USAGE'
  | 'E_BAD_KERNEL'
  | 'E_BAD_INITRD'
  | 'E_CMDLINE_TOO_LONG'
  | 'E_MEMORY_SIZE'
  | 'E_FILE'
  | 'E_BUS_OVERLAP'
  | 'E_BUS_RANGE'
  | 'E_GUEST_ADDRESS'
  | 'E_STATE_VERSION'
  | 'E_NATIVE'
  | 'E_IMAGES'
  | 'E_HOST'
  | 'E_STATE'
  | 'E_TIMEOUT'
  | 'E_ABORTED'
  | 'E_GUEST';

/**
 * Every error that nodevm raises on purpose. `message` is one sentence that names the field, its value
 * and what was expected; the command line prints it and ends with status 125.
 */
export class NodevmError extends Error {
  override readonly name = 'NodevmError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
