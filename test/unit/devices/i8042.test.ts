import { beforeEach, describe, expect, it } from 'vitest';
import { I8042 } from '../../../src/devices/i8042.js';
import { ProbeLine } from '../../support/probe-line.js';

let keyboardIrq: ProbeLine;
let mouseIrq: ProbeLine;
let a20Open: boolean;
let resets: number;
let i8042: I8042;

beforeEach(() => {
  keyboardIrq = new ProbeLine();
  mouseIrq = new ProbeLine();
  resets = 0;
  i8042 = make();
});

function make(): I8042 {
  const a20 = { set: (open: boolean) => void (a20Open = open) };
  return new I8042({ keyboardIrq, mouseIrq, a20, onReset: () => resets++ });
}

const status = (): number => i8042.command.read(0, 1);
const command = (value: number): void => i8042.command.write(0, 1, value);
const send = (value: number): void => i8042.data.write(0, 1, value);
const config = (value: number): void => {
  command(0x60);
  send(value);
};

/** Everything that waits, as [byte, from the auxiliary device]. */
function drain(): [number, boolean][] {
  const bytes: [number, boolean][] = [];
  while ((status() & 0x01) !== 0) {
    const aux = (status() & 0x20) !== 0;
    bytes.push([i8042.data.read(0, 1), aux]);
  }
  return bytes;
}
const keyboard = (...bytes: number[]): number[] => {
  bytes.forEach(send);
  return drain().map(([byte]) => byte);
};
const mouse = (...bytes: number[]): [number, boolean][] => {
  for (const byte of bytes) {
    command(0xd4);
    send(byte);
  }
  return drain();
};
const answers = (value: number): number[] => {
  command(value);
  return drain().map(([byte]) => byte);
};

describe('controller', () => {
  it('starts empty, unlocked, with the system flag', () => {
    expect(status()).toBe(0x14);
    expect(drain()).toEqual([]);
  });

  it('passes its tests', () => {
    expect([0xaa, 0xab, 0xa9, 0xa4].map(answers)).toEqual([[0x55], [0x00], [0x00], [0xf1]]);
  });

  it('reads and writes its configuration and RAM', () => {
    config(0x47);
    expect(answers(0x20)).toEqual([0x47]);
    command(0x65);
    send(0x99);
    expect(answers(0x25)).toEqual([0x99]);
    command(0x7f);
    send(0x42);
    expect(answers(0x3f)).toEqual([0x42]);
  });

  it('shows port disables in the configuration, as the probe of the auxiliary port wants', () => {
    command(0xa8);
    expect(answers(0x20)[0]! & 0x20).toBe(0);
    command(0xa7);
    expect(answers(0x20)[0]! & 0x20).toBe(0x20);
    command(0xad);
    expect(answers(0x20)[0]! & 0x10).toBe(0x10);
    command(0xae);
    expect(answers(0x20)[0]! & 0x10).toBe(0);
  });

  it('returns bytes written to its output buffer, without being a multiplexer', () => {
    for (const byte of [0xf0, 0x56, 0xa4]) {
      command(0xd3);
      send(byte);
      expect(drain()).toEqual([[byte, true]]);
    }
    command(0xd2);
    send(0x1c);
    expect(drain()).toEqual([[0x1c, false]]);
  });

  it('tells whether the last write was a command', () => {
    command(0xae);
    expect(status() & 0x08).toBe(0x08);
    send(0xf4);
    expect(status() & 0x08).toBe(0);
  });

  it('keeps A20 in the output port', () => {
    expect(answers(0xd0)[0]! & 0x03).toBe(0x03);
    command(0xd1);
    send(0xdd);
    expect([answers(0xd0)[0]! & 0x02, a20Open]).toEqual([0, false]);
    command(0xdf);
    expect([answers(0xd0)[0]! & 0x02, a20Open]).toEqual([0x02, true]);
    expect(resets).toBe(0);
  });

  it('resets by pulse and by output port', () => {
    command(0xff); // pulses nothing
    expect(resets).toBe(0);
    command(0xfe);
    expect(resets).toBe(1);
    command(0xd1);
    send(0x02);
    expect(resets).toBe(2);
  });

  it('does not grow by answers that nobody reads', () => {
    for (let i = 0; i < 1000; i++) command(0xaa);
    expect(drain()).toHaveLength(17);
    for (let i = 0; i < 1000; i++) send(0xf2);
    expect(drain().length).toBeLessThanOrEqual(17);
  });
});

describe('keyboard', () => {
  it('resets, identifies and takes settings as atkbd sends them', () => {
    config(0x05); // no translation
    expect(keyboard(0xff)).toEqual([0xfa, 0xaa]);
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x83]);
    expect(keyboard(0xed, 0x00)).toEqual([0xfa, 0xfa]);
    expect(keyboard(0xf3, 0x00)).toEqual([0xfa, 0xfa]);
    expect(keyboard(0xf0, 0x02)).toEqual([0xfa, 0xfa]);
    expect(keyboard(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x02]);
    expect(keyboard(0xf5)).toEqual([0xfa]);
    expect(keyboard(0xf4)).toEqual([0xfa]);
    expect(keyboard(0xee)).toEqual([0xee]);
    expect(keyboard(0xea)).toEqual([0xfe]);
    expect(keyboard(0xf0, 0x09)).toEqual([0xfa, 0xfe]);
  });

  it('is translated when the configuration says so', () => {
    expect(keyboard(0xf2)).toEqual([0xfa, 0xab, 0x41]);
    expect(keyboard(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x41]);
  });

  it('interrupts with an edge for each byte', () => {
    send(0xff);
    expect(keyboardIrq.level).toBe(true);
    expect(drain()).toHaveLength(2);
    expect(keyboardIrq).toMatchObject({ level: false, rises: 2 });
    config(0x44); // interrupt off
    send(0xff);
    expect(keyboardIrq.level).toBe(false);
    expect(mouseIrq.rises).toBe(0);
  });

  it('is enabled by a byte sent to it', () => {
    command(0xad);
    expect(keyboard(0xf4)).toEqual([0xfa]);
    expect(answers(0x20)[0]! & 0x10).toBe(0);
  });
});

describe('mouse', () => {
  it('resets, identifies and reports as psmouse asks', () => {
    expect(mouse(0xff).map(([byte]) => byte)).toEqual([0xfa, 0xaa, 0x00]);
    expect(mouse(0xf2)).toEqual([
      [0xfa, true],
      [0x00, true],
    ]);
    mouse(0xf3, 200, 0xf3, 100, 0xf3, 80); // the wheel knock
    expect(mouse(0xf2).map(([byte]) => byte)).toEqual([0xfa, 0x00]);
    mouse(0xe8, 3, 0xe7, 0xf4);
    expect(mouse(0xe9).map(([byte]) => byte)).toEqual([0xfa, 0x30, 3, 80]);
    mouse(0xf6);
    expect(mouse(0xe9).map(([byte]) => byte)).toEqual([0xfa, 0x00, 2, 100]);
    expect(mouse(0xe1).map(([byte]) => byte)).toEqual([0xfe]);
  });

  it('returns bytes in wrap mode until that is reset', () => {
    mouse(0xee);
    expect(mouse(0xf2)).toEqual([[0xf2, true]]);
    expect(mouse(0xec)).toEqual([[0xfa, true]]);
    expect(mouse(0xeb).map(([byte]) => byte)).toEqual([0xfa, 0x08, 0, 0]);
  });

  it('interrupts on its own line, also for a looped byte', () => {
    config(0x47);
    mouse(0xf4);
    expect([mouseIrq.rises, keyboardIrq.rises]).toEqual([1, 0]);
    command(0xd3);
    send(0xa5);
    expect(mouseIrq.level).toBe(true);
    expect(drain()).toEqual([[0xa5, true]]);
    expect(mouseIrq.level).toBe(false);
  });
});

describe('state', () => {
  it('goes on from a snapshot', () => {
    config(0x47);
    send(0xf2);
    const states = [i8042.data.save(), i8042.command.save()].map((s) => structuredClone(s));
    i8042.data.reset();
    i8042.command.reset();
    expect(keyboardIrq.level).toBe(false);
    expect(drain()).toEqual([]);
    i8042 = make();
    i8042.data.load(states[0]!);
    i8042.command.load(states[1]!);
    expect(keyboardIrq.level).toBe(true);
    expect(drain().map(([byte]) => byte)).toEqual([0xfa, 0xab, 0x41]);
    expect(answers(0x20)).toEqual([0x47]);
  });
});
