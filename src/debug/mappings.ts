/** Every page that the guest's page tables map, for `info mem` and `info tlb`. */
import type { GuestView } from './guest-view.js';

/** One page. */
export interface Mapping {
  readonly linear: bigint;
  readonly gpa: number;
  readonly bytes: bigint;
  readonly user: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** Between these lie the addresses that are not canonical. */
const LOWER_END = 1n << 47n;
const UPPER_START = (1n << 64n) - LOWER_END;
const END_32 = 1n << 32n;
const END_64 = 1n << 64n;

/** The pages in ascending order. Looks at each table entry on the way, so that holes cost one look. */
export function* mappings(view: GuestView): Iterable<Mapping> {
  const mode = view.paging;
  const wide = mode.format === '4-level' || mode.format === '5-level';
  const end = wide ? END_64 : END_32;
  for (let linear = 0n; linear < end;) {
    if (wide && linear >= LOWER_END && linear < UPPER_START) linear = UPPER_START;
    const walk = view.walk(linear, mode);
    const shift = walk.end === 'mapped' ? walk.pageShift : (walk.steps.at(-1)?.shift ?? 12);
    const bytes = 1n << BigInt(shift);
    if (walk.gpa !== undefined) {
      const { user, writable, executable } = walk;
      yield { linear, gpa: walk.gpa, bytes, user, writable, executable };
    }
    linear += bytes;
  }
}
