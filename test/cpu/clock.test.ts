import { describe, expect, it } from 'vitest';

import { loadNative } from '../../src/native-loader.js';
import { ExitReason, type NativeCpu } from '../../src/native.js';
import { turn } from '../../src/sleeper.js';

const MILLISECOND = 1e6;
/** The most that a running guest sees pass between two looks at the clock, and 500 ppm of that to catch up. */
const MOST_LEAP = 2.001 * MILLISECOND;
const CODE = 0x1000;

/** A processor on host time that is about to execute `code`. */
function createCpu(...code: number[]): NativeCpu {
  const cpu = loadNative().createCpu({ lowRam: 1 << 20, highRam: 0, clock: 'host' });
  cpu.reset();
  new Uint8Array(cpu.ram[0] as ArrayBuffer).set(code, CODE);
  cpu.setSegment('cs', { ...cpu.getSegment('cs'), selector: 0, base: 0n });
  cpu.setRegister('rip', BigInt(CODE));
  return cpu;
}

/** The host does something else for so long. */
function beAway(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

describe('host time', () => {
  it('does not leap while the guest runs', () => {
    const cpu = createCpu(0xeb, 0xfe); // jmp to itself
    expect(cpu.run(1000)).toBe(ExitReason.Budget);
    const before = cpu.now();
    beAway(100);
    expect(cpu.now() - before).toBeLessThanOrEqual(MOST_LEAP);
  });

  it('passes unseen while the guest is halted', () => {
    const cpu = createCpu(0xfa, 0xf4); // cli; hlt
    expect(cpu.run(1000)).toBe(ExitReason.Halt);
    const before = cpu.now();
    beAway(50);
    expect(cpu.now() - before).toBeGreaterThanOrEqual(50 * MILLISECOND);
    cpu.setRegister('rip', BigInt(CODE));
    cpu.run(1);
    const awake = cpu.now();
    beAway(50);
    expect(cpu.now() - awake).toBeLessThanOrEqual(MOST_LEAP);
  });

  it('is that of the host while the guest is halted, and does not go back', () => {
    const cpu = createCpu(0xfa, 0xf4);
    expect(cpu.run(1000)).toBe(ExitReason.Halt);
    const hostNs = (): number => Number(process.hrtime.bigint());
    const earliest = hostNs();
    const start = cpu.now();
    const latest = hostNs();
    let backwards = 0;
    let last = start;
    while (hostNs() - latest < 50 * MILLISECOND) {
      const now = cpu.now();
      if (now < last) backwards++;
      last = now;
    }
    const before = hostNs();
    const passed = cpu.now() - start;
    const after = hostNs();
    const tolerance = MILLISECOND / 10;
    expect(backwards).toBe(0);
    expect(passed).toBeGreaterThan(before - latest - tolerance);
    expect(passed).toBeLessThan(after - earliest + tolerance);
  });

  it('does not wait for a debugger', () => {
    const cpu = createCpu(0xeb, 0xfe);
    cpu.holdClock(true);
    const before = cpu.now();
    beAway(20);
    expect(cpu.now()).toBe(before);
    cpu.holdClock(false);
    expect(cpu.now() - before).toBeLessThanOrEqual(MOST_LEAP);
  });
});

describe('a run under host time', () => {
  /** Times in guest time: what the host does elsewhere counts for one leap at most. */
  const ASKED_EVERY = 4 * MILLISECOND;
  const LONGEST = 20 * MILLISECOND;

  function timeOfRun(cpu: NativeCpu): number {
    const before = cpu.now();
    expect(cpu.run(2 ** 40)).toBe(ExitReason.Budget);
    return cpu.now() - before;
  }

  it('ends when the event loop has something to do', async () => {
    const cpu = createCpu(0xeb, 0xfe); // jmp to itself
    await turn();
    const immediate = setImmediate(() => undefined);
    const time = timeOfRun(cpu);
    clearImmediate(immediate);
    expect(time).toBeGreaterThanOrEqual(ASKED_EVERY);
    expect(time).toBeLessThan(ASKED_EVERY + 4 * MOST_LEAP);
    await turn();
    const timer = setTimeout(() => undefined, 1);
    expect(timeOfRun(cpu)).toBeLessThan(ASKED_EVERY + 4 * MOST_LEAP);
    clearTimeout(timer);
  });

  it('goes on while it has not, but not for ever', async () => {
    const cpu = createCpu(0xeb, 0xfe);
    let longest = 0;
    // Whoever runs this test has something to do now and then.
    for (let tries = 0; tries < 50 && longest < LONGEST; tries++) {
      await turn();
      longest = Math.max(longest, timeOfRun(cpu));
    }
    expect(longest).toBeGreaterThanOrEqual(LONGEST);
    expect(longest).toBeLessThan(LONGEST + 4 * MOST_LEAP);
  });
});
