/** A handler that faults at its first instruction retired nothing, so that run() never came back. */
import { describe, expect, it } from 'vitest';

import { loadNative } from '../../../src/native-loader.js';
import { ExitReason, type Engine } from '../../../src/native.js';

const HANDLER = 0x500;
const UD2 = [0x0f, 0x0b];
const VECTOR_UD = 6;

describe.each<Engine>(['interpreter', 'jit'])('under the %s', (engine) => {
  it('comes back from an endless chain of exceptions', () => {
    const cpu = loadNative().createCpu({ lowRam: 1 << 20, highRam: 0, clock: 'icount', engine });
    const ram = new Uint8Array(cpu.ram[0] as ArrayBuffer);
    ram.set(UD2, HANDLER);
    new DataView(ram.buffer).setUint32(VECTOR_UD * 4, HANDLER, true);
    cpu.setSegment('cs', { ...cpu.getSegment('cs'), selector: 0, base: 0n });
    cpu.setRegister('rip', BigInt(HANDLER));
    expect(cpu.run(1000)).toBe(ExitReason.Budget);
    expect(cpu.getRegister('rip')).toBe(BigInt(HANDLER));
  });
});
