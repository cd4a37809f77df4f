import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../src/bus/device.js';
import { PicPair } from '../../../src/devices/pic.js';
import { ProbeLine } from '../../support/probe-line.js';

let output: ProbeLine;
let pic: PicPair;

beforeEach(() => {
  output = new ProbeLine();
  pic = new PicPair({ output });
});

function initialise(masterIcw4 = 0x01, slaveIcw4 = 0x01): void {
  program(pic.master, 0x30, 0x04, masterIcw4);
  program(pic.slave, 0x38, 0x02, slaveIcw4);
}

function program(chip: Device, base: number, cascade: number, icw4: number): void {
  chip.write(0, 1, 0x11);
  chip.write(1, 1, base);
  chip.write(1, 1, cascade);
  chip.write(1, 1, icw4);
}

const raise = (n: number): void => {
  pic.line(n).set(false);
  pic.line(n).set(true);
};
const irr = (chip: Device): number => {
  chip.write(0, 1, 0x0a);
  return chip.read(0, 1);
};
const isr = (chip: Device): number => {
  chip.write(0, 1, 0x0b);
  return chip.read(0, 1);
};
const eoi = (chip: Device): void => chip.write(0, 1, 0x20);

describe('initialisation', () => {
  it('masks everything at power-on, has a readable IMR', () => {
    raise(0);
    expect(output.level).toBe(false);
    pic.master.write(1, 1, 0xfb);
    expect(pic.master.read(1, 1)).toBe(0xfb);
  });

  it('clears masks and forgets edges, without interrupts in between', () => {
    pic.master.write(1, 1, 0);
    raise(4);
    expect(output.level).toBe(true);
    pic.master.write(0, 1, 0x11);
    expect(output.level).toBe(false);
    pic.master.write(1, 1, 0x30);
    pic.master.write(1, 1, 0x04);
    raise(3);
    expect(output.level).toBe(false);
    pic.master.write(1, 1, 0x01);
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x33);
    expect(pic.master.read(1, 1)).toBe(0);
  });

  it('takes no ICW3 in single mode and no ICW4 when it is not announced', () => {
    pic.master.write(0, 1, 0x12);
    pic.master.write(1, 1, 0x47); // only the high five bits are the base
    pic.master.write(1, 1, 0xfe); // this is the IMR already
    raise(0);
    expect(pic.acknowledge()).toBe(0x40);
    expect(pic.master.read(1, 1)).toBe(0xfe);
  });
});

describe('priorities', () => {
  beforeEach(() => initialise());

  it('serves the highest first and holds lower ones until EOI', () => {
    raise(5);
    raise(3);
    expect(pic.acknowledge()).toBe(0x33);
    expect(output.level).toBe(false);
    raise(1);
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x31);
    expect(isr(pic.master)).toBe(0x0a);
    eoi(pic.master);
    expect(isr(pic.master)).toBe(0x08);
    expect(output.level).toBe(false);
    eoi(pic.master);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it('goes through the slave, and orders it at line 2', () => {
    raise(3);
    raise(14);
    expect(irr(pic.master)).toBe(0x0c);
    expect(pic.acknowledge()).toBe(0x3e);
    expect([isr(pic.master), isr(pic.slave)]).toEqual([0x04, 0x40]);
    eoi(pic.slave);
    eoi(pic.master);
    expect(pic.acknowledge()).toBe(0x33);
  });

  it('holds a higher line of the slave in fully nested mode, lets it in in the special one', () => {
    raise(14);
    pic.acknowledge();
    raise(9);
    expect(output.level).toBe(false);
    initialise(0x11, 0x01);
    raise(14);
    pic.acknowledge();
    raise(9);
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x39);
  });

  it('masks and unmasks without losing the edge', () => {
    pic.master.write(1, 1, 0x10);
    raise(4);
    expect(output.level).toBe(false);
    pic.master.write(1, 1, 0);
    expect(pic.acknowledge()).toBe(0x34);
  });

  it('lets lower lines through in special mask mode, and EOI spares the masked one', () => {
    raise(1);
    pic.acknowledge();
    pic.master.write(1, 1, 0x02);
    pic.master.write(0, 1, 0x68);
    raise(6);
    expect(pic.acknowledge()).toBe(0x36);
    eoi(pic.master);
    expect(isr(pic.master)).toBe(0x02);
    pic.master.write(0, 1, 0x48);
    raise(6);
    expect(output.level).toBe(false);
    pic.master.write(0, 1, 0x61); // specific EOI
    expect(output.level).toBe(true);
  });

  it('rotates on EOI and by the set-priority command', () => {
    raise(3);
    raise(4);
    expect(pic.acknowledge()).toBe(0x33);
    pic.master.write(0, 1, 0xa0); // rotate: 3 becomes the lowest
    raise(3);
    raise(2 + 3);
    expect(pic.acknowledge()).toBe(0x34);
    eoi(pic.master);
    expect(pic.acknowledge()).toBe(0x35);
    eoi(pic.master);
    expect(pic.acknowledge()).toBe(0x33);
    eoi(pic.master);
    pic.master.write(0, 1, 0xc5); // 5 the lowest, 6 the highest
    raise(0);
    raise(6);
    expect(pic.acknowledge()).toBe(0x36);
  });
});

describe('automatic EOI', () => {
  it('leaves no service bit, and shows the next request as an edge through the cascade', () => {
    initialise(0x03, 0x03);
    raise(9);
    raise(10);
    expect(pic.acknowledge()).toBe(0x39);
    expect([isr(pic.master), isr(pic.slave)]).toEqual([0, 0]);
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x3a);
    expect(output.level).toBe(false);
  });

  it('rotates when told to', () => {
    initialise(0x03, 0x03);
    pic.master.write(0, 1, 0x80);
    raise(0);
    raise(1);
    expect(pic.acknowledge()).toBe(0x30);
    raise(0);
    expect(pic.acknowledge()).toBe(0x31);
  });
});

describe('triggering', () => {
  beforeEach(() => initialise());

  it('takes an edge once', () => {
    pic.line(4).set(true);
    pic.acknowledge();
    eoi(pic.master);
    pic.line(4).set(true);
    expect(output.level).toBe(false);
    raise(4);
    expect(output.level).toBe(true);
  });

  it('answers a request that has gone with line 7, without a service bit', () => {
    for (const n of [4, 10]) {
      pic.line(n).set(true);
      expect(output.level).toBe(true);
      pic.line(n).set(false);
      expect(output.level).toBe(false);
      expect(pic.acknowledge()).toBe(0x37);
      expect([isr(pic.master), isr(pic.slave)]).toEqual([0, 0]);
    }
  });

  it('repeats a level line until it falls', () => {
    pic.elcr.write(1, 1, 0x02);
    pic.line(9).set(true);
    expect(pic.acknowledge()).toBe(0x39);
    expect(output.level).toBe(false);
    eoi(pic.slave);
    eoi(pic.master);
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x39);
    pic.line(9).set(false);
    eoi(pic.slave);
    eoi(pic.master);
    expect(output.level).toBe(false);
  });

  it('keeps timer, keyboard, cascade, RTC and FPU edges', () => {
    pic.elcr.write(0, 2, 0xffff);
    expect(pic.elcr.read(0, 2)).toBe(0xdef8);
  });

  it('has no input at line 2 and none beyond 15', () => {
    raise(2);
    expect(output.level).toBe(false);
    expect(() => pic.line(16)).toThrowError(RangeError);
    expect(() => pic.line(-1)).toThrowError(RangeError);
  });
});

describe('poll', () => {
  it('acknowledges by the next read', () => {
    initialise();
    raise(6);
    pic.master.write(0, 1, 0x0c);
    expect(pic.master.read(0, 1)).toBe(0x86);
    expect(isr(pic.master)).toBe(0x40);
    pic.master.write(0, 1, 0x0c);
    expect(pic.master.read(0, 1)).toBe(0);
    expect(pic.master.read(1, 1)).toBe(0);
  });
});

describe('state', () => {
  it('goes on from a snapshot, output included', () => {
    initialise();
    pic.elcr.write(1, 1, 0x02);
    pic.line(9).set(true);
    raise(5);
    const saved = [pic.master, pic.slave, pic.elcr].map((chip) => chip.save());
    output = new ProbeLine();
    pic = new PicPair({ output });
    [pic.master, pic.slave, pic.elcr].forEach((chip, i) => chip.load(saved[i]!));
    expect(output.level).toBe(true);
    expect(pic.acknowledge()).toBe(0x39);
    pic.line(9).set(false);
    eoi(pic.slave);
    eoi(pic.master);
    expect(pic.acknowledge()).toBe(0x35);
  });

  it('resets to masked', () => {
    initialise();
    raise(1);
    for (const chip of [pic.master, pic.slave, pic.elcr]) chip.reset();
    expect(output.level).toBe(false);
    expect(pic.master.read(1, 1)).toBe(0xff);
  });
});
