/** The programs that are run on both sides. Each line that one prints is a check. */
import { WORKLOADS_IN_ROOT } from './root.js';

/** A program: a shell command whose standard output has to be the same on both sides. */
export interface Program {
  /** Parts of it are what `--only` names. */
  readonly name: string;
  readonly command: string;
}

/**
 * Test modules of Python's own regression tests, and parts of names of tests that are left out: their outcome
 * depends on how fast a machine is, how much memory it has, or on the namespace that is the host's side. Of whole modules that is asyncio; those of sqlite3
 * are not in Debian's package.
 */
const PYTHON_TESTS: Readonly<Record<string, readonly string[]>> = {
  ...allOf(
    'float',
    'math',
    'cmath',
    'complex',
    'long',
    'int',
    'pow',
    'round',
    'strtod',
    'fractions',
  ),
  ...allOf(
    'decimal',
    'statistics',
    'random',
    'numeric_tower',
    'struct',
    'array',
    'colorsys',
    'hash',
  ),
  ...allOf('zlib', 'gzip', 'bz2', 'lzma', 'hashlib', 'hmac', 'binascii', 'base64', 'audioop'),
  ...allOf(
    're',
    'json',
    'unicode',
    'format',
    'string',
    'bytes',
    'codecs',
    'csv',
    'pickle',
    'marshal',
  ),
  ...allOf('dict', 'set', 'list', 'deque', 'heapq', 'bisect', 'sort', 'itertools', 'functools'),
  ...allOf('generators', 'coroutines', 'exceptions', 'gc', 'weakref', 'datetime', 'memoryview'),
  ...allOf('ctypes', 'mmap', 'thread', 'threading', 'queue', 'signal', 'faulthandler'),
  ...allOf('ast', 'compile', 'dis', 'tokenize'),
  subprocess: ['test_user', 'test_no_leaking'],
  ...allOf('operator', 'enum', 'dataclasses', 'typing', 'difflib', 'memoryio'),
};

function allOf(...names: readonly string[]): Record<string, readonly string[]> {
  return Object.fromEntries(names.map((name) => [name, []]));
}

/** stress-ng's stressors with methods: how many operations of each. */
const STRESSORS: readonly (readonly [stressor: string, operations: number, option?: string])[] = [
  ['cpu', 2],
  ['matrix', 5],
  ['matrix-3d', 2],
  ['str', 5],
  ['wcs', 5],
  ['hash', 5],
  ['vm', 5, '--vm-bytes 1m'],
  ['funccall', 5],
  ['zlib', 1],
];

const python = Object.entries(PYTHON_TESTS).map(([name, leftOut]): Program => {
  const words = [`test.test_${name}`, ...leftOut];
  const command = `cd /tmp && python3 ${WORKLOADS_IN_ROOT}/verdicts.py ${words.join(' ')}`;
  return { name: `python-${name}`, command };
});

const stress = STRESSORS.map(([stressor, operations, option = '']): Program => {
  const script = `${WORKLOADS_IN_ROOT}/stress.sh`;
  return {
    name: `stress-${stressor}`,
    command: `sh ${script} ${stressor} ${operations} ${option}`,
  };
});

/** All of them, in the order in which they run. */
export const PROGRAMS: readonly Program[] = [
  { name: 'floats', command: `python3 ${WORKLOADS_IN_ROOT}/floats.py` },
  { name: 'numpy', command: `python3 ${WORKLOADS_IN_ROOT}/arrays.py` },
  { name: 'openssl', command: `sh ${WORKLOADS_IN_ROOT}/openssl.sh` },
  { name: 'sqlite3', command: `sqlite3 /tmp/database <${WORKLOADS_IN_ROOT}/workload.sql 2>&1` },
  { name: 'perl', command: `perl ${WORKLOADS_IN_ROOT}/workload.pl` },
  { name: 'luajit', command: `luajit ${WORKLOADS_IN_ROOT}/workload.lua` },
  { name: 'codecs', command: `sh ${WORKLOADS_IN_ROOT}/codecs.sh 2>&1` },
  { name: 'gcc', command: `sh ${WORKLOADS_IN_ROOT}/gcc.sh` },
  { name: 'tools', command: `sh ${WORKLOADS_IN_ROOT}/tools.sh 2>&1` },
  ...stress,
  ...python,
];
