/** The one door for entropy (design rule 2): RDRAND's seed and what the loader gives the kernel. */
import { randomBytes } from 'node:crypto';

/** A source of random bits. */
export interface Entropy {
  /** 64 random bits. */
  u64(): bigint;
}

/** Random bits of the host's operating system. */
export const hostEntropy: Entropy = { u64: () => randomBytes(8).readBigUInt64LE() };

/** The same numbers for the same seed: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
export function seededEntropy(seed: bigint): Entropy {
  let state = seed;
  return {
    u64: () => {
      state = BigInt.asUintN(64, state + 0x9e37_79b9_7f4a_7c15n);
      let mixed = state;
      mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
      mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn);
      return mixed ^ (mixed >> 31n);
    },
  };
}

/** A number from 0 to `count` - 1 from 64 random bits; the bias is below 2^-32 for small counts. */
export function pick(entropy: Entropy, count: number): number {
  return Number(entropy.u64() % BigInt(count));
}
