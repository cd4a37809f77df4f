import { PCI_MEMORY_WINDOW } from '../layout.js';
import type { NativeCpu } from '../native.js';

/** IA32_MTRR_DEF_TYPE: MTRRs on, fixed ranges on, default type write-back. */
const DEFAULT_WRITE_BACK = 0xc06n;

/** IA32_MTRR_PHYSMASKn.V. */
const VALID = 1n << 11n;

/** MAXPHYADDR of the processor, CPUID 80000008H. */
const PHYSICAL_BITS = 46n;

/** Memory type of IA32_MTRR_PHYSBASEn: uncacheable. */
const UNCACHEABLE = 0n;

const FOUR_GIB = 1n << 32n;

/**
 * Programs the memory types that firmware leaves behind: write-back, and uncacheable from the PCI
 * window to 4 GiB. Without them a kernel distrusts the MTRRs and gives up PAT. SDM volume 3, "Memory Type
 * Range Registers (MTRRs)".
 */
export function programMemoryTypes(cpu: Pick<NativeCpu, 'setRegister'>): void {
  const base = BigInt(PCI_MEMORY_WINDOW.base);
  const length = FOUR_GIB - base;
  const mask = ((1n << PHYSICAL_BITS) - 1n) & ~(length - 1n);
  cpu.setRegister('mtrrPhysBase0', base | UNCACHEABLE);
  cpu.setRegister('mtrrPhysMask0', mask | VALID);
  cpu.setRegister('mtrrDefType', DEFAULT_WRITE_BACK);
}
