import { describe, expect, it } from 'vitest';

import { HostPace, IcountPace, MachineClock } from '../../src/guest-clock.js';

function clockAt(time: { now: number }): MachineClock {
  return new MachineClock({ now: () => time.now }, 1234);
}

describe('MachineClock', () => {
  it('tells the time of its source and the epoch it was given', () => {
    const time = { now: 5.5 };
    const clock = clockAt(time);
    expect(clock.now()).toBe(5.5);
    time.now = 7;
    expect(clock.now()).toBe(7);
    expect(clock.epochMs).toBe(1234);
  });

  it('runs due timers by deadline, and equal deadlines in the order of arming', () => {
    const clock = clockAt({ now: 0 });
    const ran: string[] = [];
    clock.at(30, () => ran.push('c'));
    clock.at(10, () => ran.push('a1'));
    clock.at(20, () => ran.push('b'));
    clock.at(10, () => ran.push('a2'));
    clock.at(40, () => ran.push('later'));
    clock.runDue(30);
    expect(ran).toEqual(['a1', 'a2', 'b', 'c']);
    expect(clock.nextDeadline).toBe(40);
  });

  it('keeps order through random arming and cancelling', () => {
    const clock = clockAt({ now: 0 });
    const ran: number[] = [];
    const expected: number[] = [];
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 0x7fffffff);
    for (let i = 0; i < 2000; i++) {
      const deadline = random() % 500;
      const timer = clock.at(deadline, () => ran.push(deadline));
      if (random() % 3 === 0) timer.cancel();
      else expected.push(deadline);
    }
    expect(clock.pending).toBe(expected.length);
    expected.sort((a, b) => a - b);
    expect(clock.nextDeadline).toBe(expected[0]);
    for (let now = 0; now < 500; now += 7) clock.runDue(now);
    clock.runDue(500);
    expect(ran).toEqual(expected);
    expect(clock.nextDeadline).toBe(Infinity);
  });

  it('does not run a timer that an earlier one of the same moment cancels', () => {
    const clock = clockAt({ now: 0 });
    const ran: string[] = [];
    const second = { cancel: (): void => undefined };
    clock.at(1, () => {
      ran.push('first');
      second.cancel();
    });
    const timer = clock.at(1, () => ran.push('second'));
    second.cancel = () => timer.cancel();
    clock.runDue(1);
    expect(ran).toEqual(['first']);
  });

  it('leaves a timer that re-arms itself in the past for the next call', () => {
    const clock = clockAt({ now: 0 });
    let ran = 0;
    const again = (): void => {
      ran++;
      clock.at(0, again);
    };
    clock.at(0, again);
    clock.runDue(10);
    expect(ran).toBe(1);
    clock.runDue(10);
    expect(ran).toBe(2);
  });

  it('frees a cancelled timer at once, and takes no deadline that never comes', () => {
    const clock = clockAt({ now: 0 });
    for (let i = 0; i < 1000; i++) clock.at(1e15 + i, () => undefined).cancel();
    clock.at(Infinity, () => undefined).cancel();
    clock.at(NaN, () => undefined);
    expect(clock.pending).toBe(0);
    expect(clock.nextDeadline).toBe(Infinity);
  });

  it('lets a timer cancel itself, also twice, from its own callback', () => {
    const clock = clockAt({ now: 0 });
    const timer = clock.at(1, () => {
      timer.cancel();
      timer.cancel();
    });
    clock.at(2, () => undefined);
    clock.runDue(1);
    expect(clock.pending).toBe(1);
  });
});

describe('IcountPace', () => {
  const pace = new IcountPace();

  it('runs to the very instruction of the next deadline', () => {
    expect(pace.run(1000, 100, 150)).toBe(50);
    expect(pace.run(1000, 100, 150.25)).toBe(51);
    expect(pace.run(20, 100, 150)).toBe(20);
    expect(pace.run(1000, 100, Infinity)).toBe(1000);
  });

  it('always lets the guest make progress', () => {
    expect(pace.run(1000, 100, 100)).toBe(1);
    expect(pace.run(1000, 100, 50)).toBe(1);
  });

  it('has slices of one length, whatever the host measures', () => {
    const before = pace.slice();
    pace.measured();
    expect(pace.slice()).toBe(before);
    expect(pace.over()).toBe(false);
  });
});

describe('HostPace', () => {
  it('learns how many instructions there are to a timer', () => {
    const pace = new HostPace();
    for (let i = 0; i < 200; i++) pace.measured(100_000, 1e6);
    expect(pace.run(1e6, 0, Infinity)).toBe(1e6);
    expect(pace.run(1e6, 0, 5e5)).toBeGreaterThan(49_000);
    expect(pace.run(1e6, 0, 5e5)).toBeLessThan(51_000);
  });

  it('always lets the guest make progress, and never run for ever', () => {
    const pace = new HostPace();
    for (let i = 0; i < 200; i++) pace.measured(5_000, 1e12);
    expect(pace.run(pace.slice(), 100, 50)).toBeGreaterThanOrEqual(1);
    for (let i = 0; i < 200; i++) pace.measured(1e9, 1);
    expect(pace.run(pace.slice(), 0, Infinity)).toBeLessThan(Infinity);
  });

  it('ends a slice that has lasted four milliseconds', () => {
    const pace = new HostPace();
    expect(pace.over(5e6, 8.9e6)).toBe(false);
    expect(pace.over(5e6, 9e6)).toBe(true);
  });
});
