import { describe, expect, it } from 'vitest';

import { IDLE_PERIOD_NS, IdleWatch } from '../../src/idle-watch.js';

function watch(): { idle: IdleWatch; periods: number[] } {
  const periods: number[] = [];
  return { idle: new IdleWatch((count) => periods.push(count)), periods };
}

describe('the idle watch', () => {
  it('counts periods in a row, whatever naps they are made of', () => {
    const { idle, periods } = watch();
    for (let nap = 1; nap <= 16; nap++) idle.rested(IDLE_PERIOD_NS / 8, nap * 1000);
    expect(periods).toEqual([1, 2]);
  });

  it('begins anew when the guest has worked', () => {
    const { idle, periods } = watch();
    idle.rested(IDLE_PERIOD_NS / 2, 1000);
    idle.rested(IDLE_PERIOD_NS / 2, 50e6);
    expect(periods).toEqual([]);
    idle.rested(IDLE_PERIOD_NS / 2, 50e6);
    expect(periods).toEqual([1]);
  });

  it('begins anew when the counter does: the machine was reset', () => {
    const { idle, periods } = watch();
    idle.rested(IDLE_PERIOD_NS, 50e6);
    idle.rested(IDLE_PERIOD_NS, 50e6);
    idle.rested(IDLE_PERIOD_NS / 2, 10);
    idle.rested(IDLE_PERIOD_NS / 2, 20);
    expect(periods).toEqual([1, 2, 1]);
  });
});
