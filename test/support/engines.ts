/** The ways to execute a guest that tests of the processor run under; each has to give the same. */
import type { NativeCpuOptions } from '../../src/native.js';

/** What executes the code; the interpreter when empty. */
export type EngineOptions = Pick<NativeCpuOptions, 'engine' | 'jit' | 'tlbEntries'>;

/** A name for test titles, and the engine. */
export type NamedEngine = readonly [name: string, options: EngineOptions];

export const INTERPRETER: NamedEngine = ['the interpreter', { engine: 'interpreter' }];

/** Translates at once what is translated at all. */
export const TRANSLATOR: NamedEngine = ['the translator', jit({})];

/** Each takes another way through the translator. */
export const TRANSLATORS: readonly NamedEngine[] = [
  TRANSLATOR,
  ['the translator of what is hot', jit({ threshold: 3 })],
  ['the translator of paths', jit({ pathThreshold: 1 })],
  ['the translator without links', jit({ link: false })],
  ['the translator, an instruction a block', jit({ mostInstructions: 1 })],
  ['the translator with a buffer that is soon full', jit({ bufferBytes: 1 })],
  ['the translator with a TLB of four entries', { ...jit({}), tlbEntries: 4 }],
  ['the translator with a TLB of one entry', { ...jit({}), tlbEntries: 1 }],
];

export const ENGINES: readonly NamedEngine[] = [INTERPRETER, ...TRANSLATORS];

/** The `jit` engine with these options, translating at once where they do not say otherwise. */
export function jit(options: NonNullable<EngineOptions['jit']>): EngineOptions {
  return { engine: 'jit', jit: { threshold: 0, ...options } };
}
