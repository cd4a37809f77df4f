/** Recognises a kernel file and loads it through one of the doors that it has. */
import { NodevmError } from '../errors.js';
import { badKernel } from './binary.js';
import { isElf, parseElf } from './elf.js';
import type { EntryState } from './entry-state.js';
import { describeFormat } from './kernel-format.js';
import { linuxDoors } from './linux.js';
import { isRealModeOnly, realModeDoor } from './linux16.js';
import { multibootDoors } from './multiboot.js';
import { unpackPayload } from './payload.js';
import type { BootProtocol, Door, LoadOptions } from './protocol.js';
import { hasSetupHeader, parseKernel, type LinuxKernel } from './setup-header.js';
import { elfDoors } from './vmlinux.js';

/** A kernel in guest memory. */
export interface LoadedKernel {
  readonly protocol: BootProtocol;
  /** What was loaded and how, in a sentence. */
  readonly description: string;
  /** The registers for enterKernel. */
  readonly entry: EntryState;
}

/**
 * Loads a kernel through the door asked for, or the best that it has. Where the host cannot unpack a
 * kernel, the kernel does so itself.
 * @throws NodevmError as {@link Door.load} does; `E_BAD_KERNEL` also for a door that is not there
 */
export function loadKernel(options: LoadOptions, wanted?: BootProtocol): LoadedKernel {
  const doors = findDoors(options.kernel);
  const [best, next] = doors;
  if (wanted !== undefined) {
    const door = doors.find(({ protocol }) => protocol === wanted);
    if (door === undefined) {
      const names = doors.map(({ protocol }) => protocol).join(', ');
      throw badKernel(`boot protocol is ${wanted}, expected one that this file has: ${names}`);
    }
    return enter(door, options);
  }
  if (best === undefined) throw badKernel(`file is ${describeFormat(options.kernel)}`);
  if (best.protocol !== 'direct' || next === undefined) return enter(best, options);
  try {
    return enter(best, options);
  } catch (error) {
    if (!(error instanceof NodevmError) || error.code !== 'E_BAD_KERNEL') throw error;
    const loaded = enter(next, options);
    return { ...loaded, description: `${loaded.description} (not unpacked: ${error.message})` };
  }
}

function enter({ protocol, description, load }: Door, options: LoadOptions): LoadedKernel {
  return { protocol, description, entry: load(options) };
}

/**
 * All doors of a kernel file, the best first.
 * @throws NodevmError `E_BAD_KERNEL` for what is no kernel or a damaged one
 */
export function findDoors(file: Uint8Array): readonly Door[] {
  const multiboot = multibootDoors(file);
  if (isRealModeOnly(file)) return [realModeDoor(file), ...multiboot];
  if (hasSetupHeader(file)) {
    const kernel = parseKernel(file);
    return [...linuxDoors(kernel), realModeDoor(file), ...packedPvhDoors(kernel), ...multiboot];
  }
  if (isElf(file)) {
    const doors = elfDoors(parseElf(file));
    const isPvh = doors[0]?.protocol === 'pvh';
    return isPvh ? [...doors, ...multiboot] : [...multiboot, ...doors];
  }
  if (multiboot.length > 0) return multiboot;
  parseKernel(file); // says what is wrong
  return [];
}

/** The note of the kernel within a bzImage: whether there is one is seen once it is unpacked. */
function packedPvhDoors(kernel: LinuxKernel): readonly Door[] {
  if (kernel.header.payload_length === 0) return [];
  const load = (options: LoadOptions): EntryState => {
    const doors = elfDoors(parseElf(unpackPayload(kernel)));
    const pvh = doors.find(({ protocol }) => protocol === 'pvh');
    if (pvh === undefined) throw badKernel('payload has no PVH note, expected one');
    return pvh.load(options);
  };
  const description = `Linux ${kernel.version}, unpacked by the host and entered by its PVH note`;
  return [{ protocol: 'pvh', description, load }];
}
