import { parseEndpoint, type Endpoint } from '../debug/endpoint.js';
import { NodevmError } from '../errors.js';
import { BOOT_PROTOCOLS, type BootProtocol } from '../loader/protocol.js';

/** Where one serial port's bytes go. */
export type SerialTarget =
  | { readonly kind: 'stdio' }
  /** The port is there; its output is dropped and it never receives. */
  | { readonly kind: 'null' }
  /** No port; COM1 is always there, and then like `null`. */
  | { readonly kind: 'none' }
  /** Output is written to a file that is created or truncated. */
  | { readonly kind: 'file'; readonly path: string };

/** The `isa-debug-exit` device as `-device` describes it. */
export interface DebugExitOption {
  readonly iobase: number;
  readonly iosize: number;
}

/** How an option is written in texts: `-m`, `--kernel`. */
export function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** A usage error that names the option, what it was given, and what it takes. */
export function usageError(option: string, value: string, expected: string): NodevmError {
  const given = JSON.stringify(value);
  return new NodevmError('E_USAGE', `${dashed(option)} ${given}: expected ${expected}`);
}

const KIB = 1024;
const memoryUnits: Readonly<Record<string, number>> = {
  '': KIB ** 2,
  k: KIB,
  m: KIB ** 2,
  g: KIB ** 3,
  t: KIB ** 4,
};

/**
 * Parses QEMU's memory sizes: `512` (MiB), `512M`, `1.5G`, `size=1G`.
 * @param option whose argument it is
 * @returns bytes; whether a machine can have that much is for the machine's configuration to say.
 * @throws NodevmError `E_USAGE`
 */
export function parseMemorySize(value: string, option = 'm'): number {
  const match = /^(?:size=)?(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(value);
  const unit = memoryUnits[match?.[2]?.toLowerCase() ?? 'none'];
  const bytes = Number(match?.[1]) * (unit ?? NaN);
  if (!Number.isSafeInteger(bytes))
    throw usageError(option, value, 'a size such as 512, 512M or 1G');
  return bytes;
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, '': 1e3, s: 1e3, m: 6e4, h: 36e5 };

/** The longest delay that a host timer takes (2^31 - 1 ms, 24.8 days). */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/**
 * Parses a time limit: `60s`, `500ms`, `2m`, `1h`, or plain seconds.
 * @param option whose argument it is
 * @returns whole milliseconds, above zero
 * @throws NodevmError `E_USAGE`
 */
export function parseDuration(value: string, option = 'timeout'): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(value);
  const ms = Math.ceil(Number(match?.[1]) * (durationUnits[match?.[2] ?? 'none'] ?? NaN));
  if (!(ms > 0 && ms <= MAX_TIMEOUT_MS)) {
    throw usageError(option, value, 'a time such as 60s, 500ms, 2m or 1h, at most 24 days');
  }
  return ms;
}

/**
 * Parses a `-serial` argument. `mon:stdio` means stdio: the monitor is behind Ctrl-A C in any case.
 * @throws NodevmError `E_USAGE`
 */
export function parseSerial(value: string): SerialTarget {
  if (value === 'stdio' || value === 'mon:stdio') return { kind: 'stdio' };
  if (value === 'null') return { kind: 'null' };
  if (value === 'none') return { kind: 'none' };
  if (value.startsWith('file:') && value.length > 5) return { kind: 'file', path: value.slice(5) };
  throw usageError('serial', value, 'stdio, null, none or file:PATH');
}

/**
 * The argument of `-gdb` and `--monitor`.
 * @throws NodevmError `E_USAGE`
 */
export function parseListener(option: string, value: string): Endpoint {
  const endpoint = parseEndpoint(value);
  if (endpoint !== undefined) return endpoint;
  throw usageError(option, value, 'tcp:[host]:port or unix:path');
}

/** Checks `-smp`; one processor is what there is so far. */
export function checkProcessors(value: string): void {
  const counts = [...value.matchAll(/(?:^|,)(?:cpus=)?(\d+)(?=,|$)/g)].map((match) => match[1]);
  if (counts.length !== 1 || Number(counts[0]) !== 1) {
    throw usageError('smp', value, '1, the only number of processors supported so far');
  }
}

/**
 * Parses `-device isa-debug-exit,iobase=0xf4,iosize=0x04`; QEMU's own defaults are 0x501 and 2.
 * @throws NodevmError `E_USAGE` for another device, or for properties that it does not have
 */
export function parseDevice(value: string): DebugExitOption {
  const [driver, ...properties] = value.split(',');
  if (driver !== 'isa-debug-exit') {
    throw usageError('device', value, 'isa-debug-exit, the only device that can be added so far');
  }
  const device = { iobase: 0x501, iosize: 2 };
  for (const property of properties) {
    const [, key, digits] = /^(iobase|iosize)=(0x[0-9a-f]+|\d+)$/i.exec(property) ?? [];
    if (key !== 'iobase' && key !== 'iosize') {
      throw usageError('device', value, 'the properties iobase=PORT and iosize=BYTES');
    }
    device[key] = Number(digits);
  }
  return device;
}

/**
 * The argument of `--boot-protocol`.
 * @throws NodevmError `E_USAGE`
 */
export function parseBootProtocol(value: string): BootProtocol {
  const known = BOOT_PROTOCOLS.find((name) => name === value);
  if (known !== undefined) return known;
  throw usageError('boot-protocol', value, `one of ${BOOT_PROTOCOLS.join(', ')}`);
}
