/** hvm_start_info of the PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h). */
import type { Placement } from './boot-params.js';
import type { E820Entry } from './e820.js';

/** What {@link buildStartInfo} tells; addresses are guest physical. */
export interface StartInfoOptions {
  /** Where the structure will lie. */
  readonly base: number;
  /** Where the NUL-terminated command line lies. */
  readonly commandLine: number;
  /** The initramfs; undefined where there is none. */
  readonly module: Placement | undefined;
  readonly e820: readonly E820Entry[];
  /** The ACPI root pointer. */
  readonly rsdp: number;
}

const MAGIC = 0x336e_c578;
/** The first version with a memory map. */
const VERSION = 1;

const START_INFO = {
  magic: 0,
  version: 4,
  flags: 8,
  nr_modules: 12,
  modlist_paddr: 16,
  cmdline_paddr: 24,
  rsdp_paddr: 32,
  memmap_paddr: 40,
  memmap_entries: 48,
  size: 56,
} as const;
const MODULE = { paddr: 0, size: 8, length: 32 } as const;
const MEMMAP_ENTRY = { addr: 0, size: 8, type: 16, length: 24 } as const;

/** Builds the start info with its module list and memory map behind it. */
export function buildStartInfo({ base, module, e820, ...options }: StartInfoOptions): Uint8Array {
  const modules = module === undefined ? [] : [module];
  const moduleList = START_INFO.size;
  const memoryMap = moduleList + modules.length * MODULE.length;
  const bytes = new Uint8Array(memoryMap + e820.length * MEMMAP_ENTRY.length);
  const view = new DataView(bytes.buffer);
  const set32 = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const set64 = (offset: number, value: number): void =>
    view.setBigUint64(offset, BigInt(value), true);

  set32(START_INFO.magic, MAGIC);
  set32(START_INFO.version, VERSION);
  set32(START_INFO.nr_modules, modules.length);
  set64(START_INFO.modlist_paddr, modules.length === 0 ? 0 : base + moduleList);
  set64(START_INFO.cmdline_paddr, options.commandLine);
  set64(START_INFO.rsdp_paddr, options.rsdp);
  set64(START_INFO.memmap_paddr, base + memoryMap);
  set32(START_INFO.memmap_entries, e820.length);
  modules.forEach((placed, index) => {
    const at = moduleList + index * MODULE.length;
    set64(at + MODULE.paddr, placed.base);
    set64(at + MODULE.size, placed.length);
  });
  e820.forEach((entry, index) => {
    const at = memoryMap + index * MEMMAP_ENTRY.length;
    set64(at + MEMMAP_ENTRY.addr, entry.base);
    set64(at + MEMMAP_ENTRY.size, entry.length);
    set32(at + MEMMAP_ENTRY.type, entry.type);
  });
  return bytes;
}
