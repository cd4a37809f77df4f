# INIT was a reset: it took the FPU and SSE registers and all MSRs with it. And as an IPI to the processor itself it was
# lost. SDM volume 3, table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".

.include "lib.inc"
.include "apic.inc"

use16
main:
  enter_long
  fninit
  fldpi
  write_msr 0xc0000082, 0x4321
  apic SVR, 0x1ff
  # There is nothing at the reset vector: an undefined instruction, by the vector table.
  mov dword ptr [4 * V_UD], offset after_init
  apic ICR, 0x4500
  nop
  check "INIT is taken", eax, -1
  finish

use16
after_init:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, REAL_STACK
  enter_long
  mov ecx, 0xc0000082
  rdmsr
  check "LSTAR", eax, 0x4321
  fistp dword ptr [SCRATCH]
  check_memory "ST0", SCRATCH, 3
  finish
