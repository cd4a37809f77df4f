import { describe, expect, it } from 'vitest';

import { parseCommandLine } from '../../../src/cli/options.js';
import { TraceFilter, parseFilter } from '../../../src/debug/trace-filter.js';
import { traceDevices, traceItems } from '../../../src/debug/trace-items.js';
import { TraceOutput } from '../../../src/debug/trace-output.js';
import { ConsoleWatch, parseTrigger } from '../../../src/debug/trace-triggers.js';
import { startTrace, type TraceOptions } from '../../../src/debug/trace.js';
import { Machine, type MachineConfig } from '../../../src/index.js';

const symbols = {
  address: (name: string) => (name === 'start_kernel' ? 0x1000n : undefined),
  resolve: () => ({ size: 0x80n }),
};
const ranges = (text: string) => {
  const filter = new TraceFilter(parseFilter(text));
  filter.resolve(symbols);
  return filter.ranges?.map(({ first, last }) => [Number(first), Number(last)]);
};

describe('-dfilter', () => {
  it("takes QEMU's ranges", () => {
    expect(ranges('0x8000..0x8fff,0x100+0x20,4096-0x10')).toEqual([
      [0x8000, 0x8fff],
      [0x100, 0x11f],
      [0xff1, 0x1000],
    ]);
  });

  it('takes functions by name, once they are known', () => {
    expect(ranges('start_kernel')).toEqual([[0x1000, 0x107f]]);
    expect(ranges('start_kernel+0x10')).toEqual([[0x1000, 0x100f]]);
    const filter = new TraceFilter(parseFilter('no_such_function'));
    filter.resolve(symbols);
    expect(filter.waits).toBe(true);
    expect(filter.passes({ address: 0x1000n, cpl: 0 })).toBe(false);
  });

  it('takes privilege and phase', () => {
    const filter = new TraceFilter(parseFilter('cpl=3,phase=user'));
    expect(filter.passes({ address: 0n, cpl: 3 })).toBe(false);
    filter.phase = 'user';
    expect(filter.passes({ address: 0n, cpl: 3 })).toBe(true);
    expect(filter.passes({ address: 0n, cpl: 0 })).toBe(false);
  });

  it.each(['', '0x1000', '0x20..0x10', 'cpl=4', 'phase=bios', 'a b', '5+0', 'main+0x'])(
    'refuses %j',
    (text) => {
      expect(() => parseFilter(text)).toThrow(/--dfilter .*expected/);
    },
  );
});

describe('triggers', () => {
  it('are places, counts and patterns', () => {
    expect(parseTrigger('trace-from', 'start_kernel')).toEqual({
      kind: 'place',
      place: 'start_kernel',
    });
    expect(parseTrigger('trace-from', '0x7c00')).toEqual({ kind: 'place', place: 0x7c00n });
    expect(parseTrigger('trace-from', '20M')).toEqual({ kind: 'count', count: 20e6 });
    expect(parseTrigger('trace-from', '/Run \\/init/i')).toEqual({
      kind: 'console',
      pattern: /Run \/init/i,
    });
  });

  it.each(['', '/(/', '5X', '-1', 'a-b'])('refuse %j', (text) => {
    expect(() => parseTrigger('trace-to', text)).toThrow(/--trace-to .*expected a symbol/);
  });

  it('see a pattern that comes in two pieces', () => {
    let fired = 0;
    const watch = new ConsoleWatch(/login:/, () => fired++);
    watch.feed(Buffer.from('log'));
    expect(fired).toBe(0);
    watch.feed(Buffer.from('in:'));
    expect(fired).toBe(1);
  });
});

describe('the output', () => {
  const collect = (bounds: ConstructorParameters<typeof TraceOutput>[1]) => {
    let text = '';
    const output = new TraceOutput((more) => (text += more), bounds);
    for (let n = 0; n < 5; n++) output.line(`${n}`);
    output.end();
    return text.trimEnd().split('\n').join(' ');
  };

  it('is everything, the first lines or the last ones', () => {
    expect(collect({})).toBe('0 1 2 3 4');
    expect(collect({ limit: 2 })).toBe('0 1');
    expect(collect({ ring: 3 })).toBe('2 3 4');
    expect(collect({ ring: 9 })).toBe('0 1 2 3 4');
  });
});

it('-d help lists items and devices', () => {
  const request = parseCommandLine(['-d', 'help'], '1');
  if (request.kind !== 'print') throw new Error('expected a text');
  for (const { name } of traceItems) expect(request.text).toContain(`  ${name} `);
  expect(request.text).toContain('serial0');
});

/** Where the code of {@link rom} runs. */
const CODE = 0xf0000;

/** A ROM that does nothing but run `code` in real mode, from F000:0000 on. */
function rom(...code: number[]): Uint8Array {
  const image = new Uint8Array(0x10000);
  image.set(code);
  image.set([0xea, 0, 0, 0, 0xf0], 0xfff0); // jmp 0xf000:0
  return image;
}

const config = (more: Partial<MachineConfig> = {}): MachineConfig => ({
  // mov cx, 3; again: out 0x80, al; loop again; mov al, 7; out 0xf4, al
  bios: rom(0xb9, 3, 0, 0xe6, 0x80, 0xe2, 0xfc, 0xb0, 7, 0xe6, 0xf4),
  clock: 'icount',
  debugExit: {},
  ...more,
});

async function traced(options: TraceOptions, more: Partial<MachineConfig> = {}) {
  await using machine = await Machine.create(config(more));
  let text = '';
  const trace = await startTrace(machine, options, (part) => (text += part));
  const { reason, instructions } = await machine.run();
  trace.stop();
  expect(reason).toBe('guest-exit');
  return { lines: text.split('\n').slice(0, -1), instructions };
}

describe.each(['interp', 'jit'] as const)('a traced machine, %s', (accel) => {
  it('does what it does without', async () => {
    await using machine = await Machine.create(config({ accel }));
    const { instructions } = await machine.run();
    for (const items of [['exec', 'mem'], ['io', 'pcall', 'irq'], ['cpu']]) {
      const trace = await traced({ items }, { accel });
      expect(trace.instructions).toBe(instructions);
      expect(trace.lines).not.toEqual([]);
    }
  });

  it('tells blocks, their code and port accesses in order', async () => {
    const { lines } = await traced(
      { items: ['in_asm', 'exec', 'io'], from: parseTrigger('f', `0x${CODE.toString(16)}`) },
      { accel },
    );
    const words = lines.map((line) => line.replace(/^\d+ /, '').replace(/ at .*/, ''));
    expect(words.filter((word) => !word.startsWith('0x'))).toEqual([
      'in_asm: IN:',
      'exec: block',
      ...['io: out post-code 0x80 size=1 <- 0x0'],
      'in_asm: IN:',
      'exec: block',
      'in_asm: IN:',
      'exec: block',
      'io: out post-code 0x80 size=1 <- 0x0',
      'exec: block',
      'exec: block',
      'io: out post-code 0x80 size=1 <- 0x0',
      'exec: block',
      'in_asm: IN:',
      'exec: block',
      'io: out isa-debug-exit 0xf4 size=1 <- 0x7',
    ]);
    expect(lines[1]).toMatch(/^0x000f0000: {2}b9 03 00 .*mov cx,3$/);
  });

  it('is traced from an instruction count to another', async () => {
    const { lines } = await traced(
      {
        items: ['exec'],
        from: parseTrigger('f', '2'),
        to: parseTrigger('t', '6'),
        format: 'jsonl',
      },
      { accel },
    );
    const counts = lines.map((line) => (JSON.parse(line) as { instructions: number }).instructions);
    // Behind the far jump and the first MOV; OUT and LOOP end their blocks.
    expect(counts).toEqual([2, 3, 4, 5]);
  });

  it('tells accesses to memory with their values', async () => {
    // mov word ptr [0x600], 0x1234; mov ax, [0x600]; mov al, 7; out 0xf4, al
    const bios = rom(0xc7, 6, 0, 6, 0x34, 0x12, 0xa1, 0, 6, 0xb0, 7, 0xe6, 0xf4);
    const { lines } = await traced(
      { items: ['mem'], filter: parseFilter('0x600+2') },
      { accel, bios },
    );
    expect(lines.map((line) => line.replace(/^\d+ /, ''))).toEqual([
      'mem: store 0x600 gpa=0x600 size=2 value=0x1234 cpl=0',
      'mem: load 0x600 gpa=0x600 size=2 value=0x1234 cpl=0',
    ]);
  });
});

it('refuses an unknown item, naming those that there are', async () => {
  await using machine = await Machine.create(config({ serialPorts: 4 }));
  const trouble = await startTrace(machine, { items: ['nothing'] }, () => undefined).catch(
    (error: unknown) => String(error),
  );
  for (const name of [...traceItems.map((item) => item.name), 'serial3', 'pit']) {
    expect(trouble).toContain(name);
  }
  const { ports, mmio } = machine.board;
  const there = [...ports.ranges(), ...mmio.ranges()].map(({ device }) => device.name);
  expect(traceDevices).toEqual(expect.arrayContaining(there));
});
