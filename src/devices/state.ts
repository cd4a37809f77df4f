import type { DeviceState } from '../bus/device.js';
import { NodevmError } from '../errors.js';

/** A deep copy of a device's state struct, with its version: what `save()` returns. */
export function snapshot(version: number, fields: object): DeviceState {
  return { version, ...structuredClone(fields) };
}

/**
 * The inverse of {@link snapshot}: a deep copy of `state` that has the shape of `shape` (a power-on
 * state). Arrays must have the length of the shape's, but an empty array there stands for a list of
 * numbers of any length.
 * @throws NodevmError `E_STATE_VERSION` for another version, `E_STATE` for a field of a wrong type.
 */
export function restore<T extends object>(
  device: string,
  version: number,
  shape: T,
  state: DeviceState,
): T {
  if (state.version !== version) {
    throw new NodevmError(
      'E_STATE_VERSION',
      `${device}: state has version ${String(state.version)}, expected ${version}`,
    );
  }
  return copyShaped(device, shape, state) as T;
}

function copyShaped(path: string, shape: unknown, value: unknown): unknown {
  if (shape instanceof Uint8Array) {
    if (value instanceof Uint8Array && value.length === shape.length) return value.slice();
    throw wrongType(path, `${shape.length} bytes`);
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value) || (shape.length > 0 && value.length !== shape.length)) {
      throw wrongType(path, shape.length > 0 ? `a list of ${shape.length}` : 'a list of numbers');
    }
    return value.map((item, i) =>
      copyShaped(`${path}[${i}]`, shape.length > 0 ? shape[i] : 0, item),
    );
  }
  if (typeof shape === 'object' && shape !== null) {
    if (typeof value !== 'object' || value === null) throw wrongType(path, 'a structure');
    const fields = value as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(shape).map(([key, field]) => [
        key,
        copyShaped(`${path}.${key}`, field, fields[key]),
      ]),
    );
  }
  if (typeof value !== typeof shape) throw wrongType(path, `a ${typeof shape}`);
  return value;
}

function wrongType(path: string, expected: string): NodevmError {
  return new NodevmError('E_STATE', `saved state: ${path} is not ${expected}`);
}
