# Double faults: each exception, met by each fault on the way to its handler, in 64-bit mode.
# SDM volume 3, tables "Interrupt and Exception Classes" and "Conditions for Generating a Double Fault".

.include "lib.inc"

.set UNMAPPED, 0x400000000

# Classes of the first exception.
.set BENIGN, 0
.set CONTRIBUTORY, 1
.set PAGE_FAULT, 2

use16
main:
  enter_long
  # Both faults can always be handled: their own gates are sound, and on a stack of their own.
  use_ist1 V_DF, V_NP, V_SS, V_GP, V_PF
  movabs rax, UNMAPPED
  mov [tss + 0x2c], rax                         # IST2
  movabs rax, 0x800000000000
  mov [tss + 0x34], rax                         # IST3
  mov word ptr [gdt + FREE], -1
  mov dword ptr [gdt + FREE + 4], 0x00cf1300    # data, not present
  xor r9d, r9d
  mov r10d, FREE
  mov r11d, GDT_END
  movabs r12, UNMAPPED
  movabs r13, 0x800000000000
  set_bits cr4, CR4_OSFXSR+CR4_OSXMMEXCPT
  mov dword ptr [SCRATCH], 0x1f80 - 0x200       # ZM clear
  ldmxcsr [SCRATCH]
  mov dword ptr [SCRATCH + 4], 0x3f800000
  movd xmm1, [SCRATCH + 4]
  pxor xmm0, xmm0
  set_bits cr0, CR0_NE
  fninit
  mov word ptr [SCRATCH], 0x37b
  call faults
  call interrupts
  finish

# Runs `code`, which raises `vector`, with four defects of its gate.
.macro first name, vector, class, code:vararg
  mov rax, [idt + 16 * \vector]
  mov [good_gate], rax
  defect "\name, absent gate", \vector, \class, V_NP, "\vector*8+3", "and byte ptr [idt+16*\vector+5], 0x7f", \code
  defect "\name, gate to null", \vector, \class, V_GP, 1, "mov word ptr [idt+16*\vector+2], 0", \code
  defect "\name, stack that is not there", \vector, \class, V_PF, 2, "mov byte ptr [idt+16*\vector+4], 2", \code
  defect "\name, non-canonical stack", \vector, \class, V_SS, 1, "mov byte ptr [idt+16*\vector+4], 3", \code
.endm

# The second exception is what comes, or #DF with an error code of 0; RIP is the first one's.
.macro defect name, vector, class, second, error, how, code:vararg
  \how
  arm .Lafter\@, .Lat\@
.Lat\@:
  \code
.Lafter\@:
  mov rax, [good_gate]
  mov [idt + 16 * \vector], rax
  .if (\class == CONTRIBUTORY && \second != V_PF) || \class == PAGE_FAULT
  fault_result "\name", V_DF, 0
  .else
  fault_result "\name", \second, \error
  .endif
.endm

.macro breakpoint_at target
  mov eax, offset \target
  mov dr0, rax
  mov eax, 0x402
  mov dr7, rax
.endm

faults:
  first "#DE", V_DE, CONTRIBUTORY, div r9d
  first "#NP", V_NP, CONTRIBUTORY, mov fs, r10d
  first "#SS", V_SS, CONTRIBUTORY, mov rax, [rsp+r13]
  first "#GP", V_GP, CONTRIBUTORY, mov fs, r11d
  first "#PF", V_PF, PAGE_FAULT, mov rax, [r12]
  first "#UD", V_UD, BENIGN, ud2
  first "#XM", V_XM, BENIGN, divss xmm1, xmm0
  set_bits cr0, CR0_TS
  first "#NM", V_NM, BENIGN, fld1
  clts
  fldcw [SCRATCH]
  fld1
  fldz
  fdivp st(1), st
  first "#MF", V_MF, BENIGN, fwait
  fninit
  breakpoint_at 1f
  mov rax, [idt + 16 * V_DB]
  mov [good_gate], rax
  and byte ptr [idt + 16 * V_DB + 5], 0x7f
  arm 2f, 1f
1:
  nop
2:
  or byte ptr [idt + 16 * V_DB + 5], 0x80
  xor eax, eax
  mov dr7, rax
  fault_result "#DB, absent gate", V_NP, V_DB*8+3
  ret

# Software interrupts are benign, and what they meet has EXT clear.
interrupts:
  mov byte ptr [idt + 16 * V_BP + 5], 0x6e
  faults "INT3, absent gate", V_NP, V_BP*8+2, int3
  mov byte ptr [idt + 16 * V_BP + 5], 0xee
  mov byte ptr [idt + 16 * V_BP + 4], 2
  faults "INT3, stack that is not there", V_PF, 2, int3
  mov byte ptr [idt + 16 * V_BP + 4], 3
  faults "INT3, non-canonical stack", V_SS, 0, int3
  mov byte ptr [idt + 16 * V_BP + 4], 0
  # The vectors of contributory exceptions by INT n are no exceptions.
  mov byte ptr [idt + 16 * V_GP + 4], 0
  mov byte ptr [idt + 16 * V_DE + 5], 0x0e
  faults "INT 0, absent gate", V_NP, V_DE*8+2, int 0
  mov byte ptr [idt + 16 * V_DE + 5], 0x8e
  ret

.data
good_gate: .quad 0
