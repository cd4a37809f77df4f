import { NodevmError } from '../../src/errors.js';

/**
 * Runs `action`, which must be refused.
 * @returns "CODE: message" of the NodevmError that it throws; any other error is passed on.
 */
export function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof NodevmError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('was not refused');
}
