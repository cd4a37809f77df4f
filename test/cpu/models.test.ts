/** Processor models: what CPUID does not offer is not there, under every engine. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { describeModels, featuresOfModel } from '../../src/cpu-model.js';
import { NodevmError } from '../../src/errors.js';
import { loadNative } from '../../src/native-loader.js';
import { INTERPRETER, TRANSLATOR } from '../support/engines.js';
import { buildGuest, GuestRunner } from '../support/guest-runner.js';

const { cpuFeatures } = loadNative();
const featuresOf = (model: string): bigint => featuresOfModel(model, cpuFeatures);
/** The features as on a host that can execute them all. */
const anywhere = cpuFeatures.map((row) => ({ ...row, possible: true }));
const bitOf = (name: string): bigint => cpuFeatures.find((row) => row.name === name)?.bit ?? 0n;

function usageMessage(model: string): string {
  try {
    featuresOf(model);
  } catch (error) {
    if (error instanceof NodevmError && error.code === 'E_USAGE') return error.message;
    throw error;
  }
  throw new Error('accepted');
}

describe('a model', () => {
  it('is a level, and each level holds the one below', () => {
    expect(featuresOf('v1') & ~featuresOf('v2')).toBe(0n);
    expect(featuresOf('v2') & ~featuresOf('max')).toBe(0n);
    expect(featuresOf('v2') & bitOf('sse3')).toBe(bitOf('sse3'));
    expect(featuresOf('Nehalem')).toBe(featuresOf('x86-64-v2'));
    expect(featuresOf('host')).toBe(featuresOf('max'));
    expect(featuresOfModel('v4', anywhere) & featuresOf('v3')).toBe(featuresOf('v3'));
  });

  it('is changed by features, in any spelling', () => {
    expect(featuresOf('v2,+movbe')).toBe(featuresOf('v2') | bitOf('movbe'));
    expect(featuresOf('max,movbe=off')).toBe(featuresOf('max') & ~bitOf('movbe'));
    expect(featuresOf('v1,+SSE4_1') & bitOf('ssse3')).toBe(bitOf('ssse3'));
    expect(featuresOf('v2,-pni') & (bitOf('sse3') | bitOf('sse4.2'))).toBe(0n);
  });

  it.each([
    ['486', 'cpu is 486, expected one of max, v1'],
    ['max,+3dnow', 'unknown feature 3dnow'],
    ['max,popcnt', 'has "popcnt", expected +feature or -feature'],
    ['v1,+sse4.2,-sse3', 'takes away what sse4.2 needs'],
  ])('%s is refused', (model, message) => {
    expect(usageMessage(model)).toContain(message);
  });

  it('has AVX-512 where that is asked for', () => {
    const avx512 = bitOf('avx512f') | bitOf('avx512vl');
    expect(featuresOfModel('max', anywhere) & avx512).toBe(0n);
    expect(featuresOfModel('max,+avx512vl', anywhere) & avx512).toBe(avx512);
    expect(featuresOfModel('x86-64-v4', anywhere) & avx512).toBe(avx512);
    expect(featuresOfModel('v4,-avx', anywhere) & avx512).toBe(0n);
  });

  it('is refused where the host cannot have it', () => {
    const nowhere = cpuFeatures.map((row) => ({ ...row, possible: row.name !== 'popcnt' }));
    expect(() => featuresOfModel('v2', nowhere)).toThrow('which needs popcnt: not to be had');
    expect(featuresOfModel('v2,-popcnt', nowhere) & bitOf('popcnt')).toBe(0n);
  });

  it('is listed', () => {
    expect(describeModels(cpuFeatures)).toMatch(/Models.*\n {2}max .*\n[^]*\nFeatures: sse3 /);
  });
});

const everything = cpuFeatures.reduce((set, row) => (row.possible ? set | row.bit : set), 0n);

/** State can be saved and restored whether or not the host can compute with it. */
const withAvx = featuresOf('max') | bitOf('avx');

describe.each([INTERPRETER, TRANSLATOR])('under %s', (_name, engine) => {
  it.each([
    ['features', 'v1', featuresOf('v1')],
    ['features', 'v2', featuresOf('v2')],
    ['features', 'max without what others build on', featuresOf('max,-sse3,-abm,-cx16')],
    ['xstate', 'v1', featuresOf('v1')],
    ['xstate', 'max with AVX', withAvx],
    ['xstate', 'everything', everything],
    ['avx512', 'max', featuresOf('max')],
    ['avx512', 'everything', everything],
    ['control', 'v2 without protection', featuresOf('v2,-smep,-smap,-umip,-pcid,-fsgsbase')],
  ])('guest %s finds %s as CPUID says', (name, _model, features) => {
    const { value, lines } = new GuestRunner(readFileSync(buildGuest(name)), {
      ...engine,
      features,
    }).run();
    const passed = lines.filter((line) => line.startsWith('ok '));
    expect(lines.slice(0, -1)).toEqual(passed);
    expect(value).toBe(0);
  });
});
