import { NodevmError } from './errors.js';
import type { CpuFeature } from './native.js';

/** Model of a machine that was given none: all that is implemented and that the host can execute, but AVX-512. */
export const DEFAULT_CPU = 'max';

/** A named model: what it has beyond the model that it extends, as features' names. */
interface Model {
  readonly name: string;
  readonly help: string;
  readonly extends?: string;
  readonly features: string;
}

/**
 * The models. The levels are those of the x86-64 psABI; the others are QEMU's names, for their
 * instruction sets (CPUID's family and model are always those of nodevm).
 */
const MODELS: readonly Model[] = [
  {
    name: 'v1',
    help: 'x86-64-v1, the baseline',
    features:
      'hypervisor x2apic tsc-deadline tsc-adjust rdtscp arch-capabilities fsgsbase smep smap umip ' +
      'pcid invpcid erms fsrm',
  },
  {
    name: 'v2',
    help: 'x86-64-v2',
    extends: 'v1',
    features: 'cx16 popcnt sse4.2 xsave xsaveopt xsavec xgetbv1 xsaves',
  },
  {
    name: 'v3',
    help: 'x86-64-v3',
    extends: 'v2',
    features: 'avx avx2 bmi1 bmi2 f16c fma abm movbe',
  },
  {
    name: 'v4',
    help: 'x86-64-v4',
    extends: 'v3',
    features: 'avx512f avx512bw avx512cd avx512dq avx512vl',
  },
  { name: 'Nehalem', help: 'as v2', extends: 'v2', features: '' },
  { name: 'Westmere', help: 'v2 with AES', extends: 'v2', features: 'aes pclmulqdq' },
  { name: 'Haswell', help: 'v3 with AES', extends: 'v3', features: 'aes pclmulqdq rdrand' },
  { name: 'Broadwell', help: 'and ADX', extends: 'Haswell', features: 'adx rdseed 3dnowprefetch' },
  { name: 'Skylake-Client', help: 'as Broadwell', extends: 'Broadwell', features: 'clflushopt' },
];

/** QEMU's names for models of ours. */
const ALIASES = new Map([
  ['host', 'max'],
  ['qemu64', 'v1'],
  ['kvm64', 'v1'],
  ['x86-64-v1', 'v1'],
  ['x86-64-v2', 'v2'],
  ['x86-64-v3', 'v3'],
  ['x86-64-v4', 'v4'],
]);

/** Names differ in case and in the sign between words: sse4_2 is sse4.2. */
const plain = (name: string): string => name.toLowerCase().replace(/[_.]/g, '-');

/** Sets of features as bits, over the native list. */
class Features {
  constructor(private readonly rows: readonly CpuFeature[]) {}

  get possible(): bigint {
    return this.union((row) => row.possible);
  }

  /**
   * What the model `max` has. AVX-512 is to be asked for: where CPUID offers it, libraries prefer it, and none of it
   * is translated.
   */
  get preferred(): bigint {
    return this.union(({ possible, name }) => possible && !name.startsWith('avx512'));
  }

  find(name: string): CpuFeature {
    const wanted = plain(name) === 'pni' ? 'sse3' : plain(name);
    const found = this.rows.find((row) => plain(row.name) === wanted);
    if (found !== undefined) return found;
    throw usage(`has the unknown feature ${name}; nodevm -cpu help lists them`);
  }

  /** The features with everything that they build on. */
  withNeeds(set: bigint): bigint {
    const more = this.rows.reduce((all, { bit, needs }) => (set & bit ? all | needs : all), set);
    return more === set ? set : this.withNeeds(more);
  }

  /** The set without these and without everything that builds on them. */
  without(set: bigint, gone: bigint): bigint {
    const less = set & ~gone;
    const broken = this.union(({ bit, needs }) => !!(less & bit) && (needs & ~less) !== 0n);
    return broken === 0n ? less : this.without(less, broken);
  }

  names(set: bigint): string[] {
    return this.rows.filter(({ bit }) => set & bit).map(({ name }) => name);
  }

  private union(wanted: (row: CpuFeature) => boolean): bigint {
    return this.rows.reduce((set, row) => (wanted(row) ? set | row.bit : set), 0n);
  }
}

/**
 * The features of a model in QEMU's spelling: a name, then `+feature`, `-feature`, `feature=on|off`. What a
 * feature builds on comes with it; what builds on a feature goes with it.
 * @returns bits for {@link NativeCpuOptions.features}
 * @throws NodevmError `E_USAGE` for names that do not exist and for what cannot be had here
 */
export function featuresOfModel(model: string, rows: readonly CpuFeature[]): bigint {
  const features = new Features(rows);
  const [name = '', ...changes] = model.split(',').map((word) => word.trim());
  let set = modelFeatures(name, features);
  let asked = 0n;
  for (const change of changes) {
    const { add, feature } = parseChange(change);
    const { bit } = features.find(feature);
    set = add ? features.withNeeds(set | bit) : features.without(set, bit);
    asked = add ? asked | bit : asked & ~bit;
  }
  const lost = features.names(asked & ~set);
  if (lost.length > 0) {
    throw usage(`is ${model}, which takes away what ${lost.join(' and ')} needs`);
  }
  const missing = features.names(set & ~features.possible);
  if (missing.length > 0) {
    throw usage(`is ${model}, which needs ${missing.join(', ')}: not to be had on this host`);
  }
  return set;
}

/** What `-cpu help` prints: models, and features with what can be had here. */
export function describeModels(rows: readonly CpuFeature[]): string {
  const models = [
    {
      name: DEFAULT_CPU,
      help: 'all but AVX-512 that is implemented and this host can execute (default)',
    },
    ...MODELS,
  ].map(({ name, help }) => `  ${name.padEnd(16)} ${help}`);
  const names = (possible: boolean): string =>
    rows
      .filter((row) => row.possible === possible)
      .map(({ name }) => name)
      .join(' ');
  const aliases = [...ALIASES].map(([alias, name]) => `${alias} = ${name}`).join(', ');
  return [
    'Models, each followed by any of ,+feature ,-feature:',
    ...models,
    `  ${aliases}`,
    '',
    `Features: ${names(true)}`,
    `Not to be had on this host: ${names(false)}`,
    '',
  ].join('\n');
}

function modelFeatures(name: string, features: Features): bigint {
  const known = ALIASES.get(name) ?? name;
  if (known === DEFAULT_CPU) return features.preferred;
  const model = MODELS.find((candidate) => candidate.name === known);
  if (model === undefined) {
    const names = [DEFAULT_CPU, ...MODELS.map((candidate) => candidate.name), ...ALIASES.keys()];
    throw usage(`is ${name}, expected one of ${names.join(', ')}`);
  }
  const own = model.features.split(' ').filter((word) => word !== '');
  const bits = own.reduce((set, word) => set | features.find(word).bit, 0n);
  const base = model.extends === undefined ? 0n : modelFeatures(model.extends, features);
  return features.withNeeds(base | bits);
}

function parseChange(change: string): { add: boolean; feature: string } {
  const [, sign, signed, named, value] =
    /^(?:([+-])([\w.-]+)|([\w.-]+)=(on|off))$/.exec(change) ?? [];
  const feature = signed ?? named;
  if (feature === undefined)
    throw usage(`has ${JSON.stringify(change)}, expected +feature or -feature`);
  return { add: sign === '+' || value === 'on', feature };
}

function usage(what: string): NodevmError {
  return new NodevmError('E_USAGE', `cpu ${what}`);
}
