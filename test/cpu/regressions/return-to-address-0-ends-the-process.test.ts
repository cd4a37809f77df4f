/**
 * A jump cache entry that was never filled has address 0. Whoever left translated code for address 0 took it for one
 * that is known, and its missing block for a block: the host's process died of SIGSEGV. Found by random streams.
 */
import { describe, expect, it } from 'vitest';

import { ExitReason } from '../../../src/native.js';
import { Bench, CODE } from '../../support/bench.js';
import { ENGINES } from '../../support/engines.js';

// push 0; ret
const RETURN_TO_0 = [0x6a, 0x00, 0xc3];
const HLT = 0xf4;
/** Away from round addresses, which share an entry of the cache with 0. */
const PLACE = CODE + 0x40;

describe.each(ENGINES)('a return to address 0 under %s', (_, engine) => {
  it('goes on there', () => {
    const bench = new Bench(engine, []);
    bench.memory.write(PLACE, Uint8Array.from(RETURN_TO_0));
    bench.native.setRegister('rip', BigInt(PLACE));
    bench.memory.write(0, Uint8Array.of(HLT));
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(bench.rip).toBe(1);
  });
});
