/** Names for addresses of a guest: the kernel's own, its modules', and those of a file. */
import { Btf } from './btf.js';
import type { GuestView } from './guest-view.js';
import { findKernelImage, type KernelImage } from './kernel-image.js';
import { readModules, type GuestModule } from './modules.js';
import type { ResolvedSymbol, SymbolTable } from './symbol-table.js';

export type { ResolvedSymbol } from './symbol-table.js';

/** Symbols of a guest. Nothing is looked for until somebody asks, and what was found is kept. */
export class Symbols {
  private image: KernelImage | undefined;
  /** CR3 when the kernel was last looked for: as long as it stays, another look finds nothing else. */
  private lookedAt: bigint | undefined;
  private fromFile: SymbolTable | undefined;
  private types: Btf | null | undefined;
  private modules: readonly GuestModule[] = [];

  /**
   * @param view the guest
   * @param file symbols at the addresses where the kernel was linked; they go before the kernel's own
   */
  constructor(
    private readonly view: GuestView,
    private readonly file?: SymbolTable,
  ) {}

  /** Forgets what was found: the guest starts anew. */
  reset(): void {
    this.image = undefined;
    this.lookedAt = undefined;
    this.fromFile = undefined;
    this.types = undefined;
    this.modules = [];
  }

  /** The symbol that a linear address belongs to; undefined where that is none. */
  resolve(linear: bigint): ResolvedSymbol | undefined {
    const kernel = this.kernelTable();
    if (kernel === undefined) return undefined;
    const address = this.unaliased(linear);
    return this.resolveWithin(kernel, address) ?? this.resolveInModule(address);
  }

  /** Linear address of a symbol. */
  address(name: string): bigint | undefined {
    return this.fileTable()?.address(name) ?? this.kernel()?.symbols.address(name);
  }

  /** `symbol+0x12/0x80 [module]`, or undefined where there is no symbol. */
  readonly name = (linear: bigint): string | undefined => {
    const symbol = this.resolve(linear);
    if (symbol === undefined) return undefined;
    const { name, offset, size, module } = symbol;
    const place = `${name}+0x${offset.toString(16)}/0x${size.toString(16)}`;
    return module === undefined ? place : `${place} [${module}]`;
  };

  /** The address, and its name where it has one. */
  format(linear: bigint): string {
    const name = this.name(linear);
    const address = `0x${linear.toString(16)}`;
    return name === undefined ? address : `${address} (${name})`;
  }

  /**
   * How far the kernel runs from where its file was linked, in bytes; undefined where that is not known.
   * @param linked where it was linked to have `_text`, by default as x86-64 kernels are
   */
  slide(linked = 0xffff_ffff_8100_0000n): bigint | undefined {
    const text = this.kernel()?.symbols.address('_text');
    return text === undefined ? undefined : text - linked;
  }

  /** Whether an address belongs to the kernel's image or a module. */
  isKernelText(linear: bigint): boolean {
    return this.resolve(linear) !== undefined;
  }

  /** The kernel's description of its structures, where it has one. */
  btf(): Btf | undefined {
    if (this.types === undefined) this.types = this.readBtf() ?? null;
    return this.types ?? undefined;
  }

  /** The Linux kernel in memory, once there is one. */
  kernel(): KernelImage | undefined {
    if (this.file !== undefined && this.file.address('_text') === undefined) return undefined;
    if (this.image?.mapped === true) return this.image;
    const cr3 = this.view.register('cr3');
    if (cr3 === this.lookedAt) return this.image;
    this.lookedAt = cr3;
    const image = findKernelImage(this.view);
    // One that was seen before the kernel had its own page tables may have been a copy.
    if (image !== undefined) {
      this.image = image;
      this.fromFile = undefined;
      this.types = undefined;
    }
    return this.image;
  }

  private kernelTable(): SymbolTable | undefined {
    return this.fileTable() ?? this.kernel()?.symbols;
  }

  /** The file's symbols where they are now. */
  private fileTable(): SymbolTable | undefined {
    const { file } = this;
    if (file === undefined) return undefined;
    const linked = file.address('_text');
    const slide = linked === undefined ? 0n : (this.slide(linked) ?? 0n);
    this.fromFile ??= slide === 0n ? file : file.moved(slide);
    return this.fromFile;
  }

  /** Before it has page tables of its own, the kernel runs at its physical address. */
  private unaliased(linear: bigint): bigint {
    const { image } = this;
    if (image?.physicalOffset === undefined || image.mapped) return linear;
    const kernel = linear - image.physicalOffset;
    const isPhysical = this.view.translate(linear) === Number(linear);
    return isPhysical && this.isWithin(image.symbols, kernel) ? kernel : linear;
  }

  private resolveWithin(table: SymbolTable, linear: bigint): ResolvedSymbol | undefined {
    return this.isWithin(table, linear) ? table.resolve(linear) : undefined;
  }

  /** Absolute symbols of per-CPU variables are low numbers, which are no addresses. */
  private isWithin(table: SymbolTable, linear: bigint): boolean {
    const last = table.addresses.at(-1) ?? 0n;
    const first = table.address('_text') ?? table.addresses[0] ?? 0n;
    return linear >= first && linear < (table.address('_end') ?? last + 0x1000n);
  }

  private resolveInModule(linear: bigint): ResolvedSymbol | undefined {
    if (this.image?.mapped !== true) return undefined;
    const find = (): GuestModule | undefined =>
      this.modules.find(({ base, size }) => linear >= base && linear < base + size);
    let module = find();
    if (module === undefined && isModuleAddress(linear)) {
      this.modules = readModules(this.view, this);
      module = find();
    }
    const symbol = module?.symbols.resolve(linear);
    return symbol && { ...symbol, module: module?.name };
  }

  private readBtf(): Btf | undefined {
    const start = this.address('__start_BTF');
    const stop = this.address('__stop_BTF');
    if (start === undefined || stop === undefined || stop <= start) return undefined;
    return Btf.parse(this.view.read(start, Math.min(Number(stop - start), 64 * 2 ** 20)));
  }
}

/** Where x86-64 has modules: Documentation/arch/x86/x86_64/mm.rst. */
function isModuleAddress(linear: bigint): boolean {
  return linear >= 0xffff_ffff_a000_0000n && linear < 0xffff_ffff_ff00_0000n;
}
