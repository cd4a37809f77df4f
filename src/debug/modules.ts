/** Modules that the guest's kernel has loaded, with their symbols: struct module in linux/module.h. */
import { readBigint, readNumber } from '../loader/binary.js';
import type { Btf, BtfStruct } from './btf.js';
import type { GuestView } from './guest-view.js';
import { SymbolTable } from './symbol-table.js';

/** A module in memory. */
export interface GuestModule {
  readonly name: string;
  readonly base: bigint;
  /** Bytes of its core, or of its text. */
  readonly size: bigint;
  readonly symbols: SymbolTable;
}

/** What the list is found by. */
interface KernelFacts {
  address(name: string): bigint | undefined;
  btf(): Btf | undefined;
}

/** Bounds on what a guest can make us read. */
const MOST_MODULES = 1024;
const MOST_SYMBOLS = 100_000;
const MOST_STRINGS = 4 * 2 ** 20;
const ELF64_SYMBOL = 24;

/** The modules that are loaded now; none where the kernel does not describe its structures. */
export function readModules(view: GuestView, kernel: KernelFacts): readonly GuestModule[] {
  const head = kernel.address('modules');
  const btf = kernel.btf();
  const layout = btf?.struct('module');
  if (head === undefined || btf === undefined || layout === undefined) return [];
  const modules: GuestModule[] = [];
  const list = BigInt(layout.offsets.get('list') ?? 0);
  let node = view.readUint(head, 8);
  while (node !== undefined && node !== head && modules.length < MOST_MODULES) {
    const module = readModule(view, btf, layout, node - list);
    if (module !== undefined) modules.push(module);
    node = view.readUint(node, 8);
  }
  return modules;
}

function readModule(
  view: GuestView,
  btf: Btf,
  { offsets }: BtfStruct,
  module: bigint,
): GuestModule | undefined {
  const name = offsets.get('name');
  // One piece of memory up to Linux 6.3; then several, the first being text.
  const memory = offsets.get('core_layout') ?? offsets.get('mem');
  const parts = btf.struct(offsets.has('core_layout') ? 'module_layout' : 'module_memory');
  const base = parts?.offsets.get('base');
  const size = parts?.offsets.get('size');
  const kallsyms = offsets.get('kallsyms');
  if ([name, memory, base, size, kallsyms].includes(undefined)) return undefined;
  const at = (offset: number | undefined): bigint => module + BigInt(offset ?? 0);
  const start = view.readUint(at((memory ?? 0) + (base ?? 0)), 8);
  const length = view.readUint(at((memory ?? 0) + (size ?? 0)), 4);
  const table = view.readUint(at(kallsyms), 8);
  if (start === undefined || length === undefined || table === undefined) return undefined;
  return {
    name: view.readText(at(name), 56),
    base: start,
    size: length,
    symbols: readSymbols(view, btf, table, start, length),
  };
}

/** struct mod_kallsyms: the module's ELF symbols. */
function readSymbols(view: GuestView, btf: Btf, table: bigint, base: bigint, size: bigint) {
  const offsets = btf.struct('mod_kallsyms')?.offsets;
  const field = (name: string, bytes: 4 | 8): bigint =>
    view.readUint(table + BigInt(offsets?.get(name) ?? 0), bytes) ?? 0n;
  const count = Math.min(Number(field('num_symtab', 4)), MOST_SYMBOLS);
  const entries = view.read(field('symtab', 8), count * ELF64_SYMBOL);
  const found: [number, bigint][] = [];
  let last = 0;
  for (let at = 0; at + ELF64_SYMBOL <= entries.length; at += ELF64_SYMBOL) {
    const name = readNumber(entries, at, 4);
    const address = readBigint(entries, at + 8);
    if (name === 0 || address < base || address >= base + size) continue;
    found.push([name, address]);
    last = Math.max(last, name);
  }
  const strings = Buffer.from(view.read(field('strtab', 8), Math.min(last + 512, MOST_STRINGS)));
  return SymbolTable.of(
    found.flatMap(([name, address]): [string, bigint][] => {
      const end = strings.indexOf(0, name);
      return end < 0 ? [] : [[strings.toString('latin1', name, end), address]];
    }),
  );
}
