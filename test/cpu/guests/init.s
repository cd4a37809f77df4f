# INIT: what it resets and what survives, IPIs of INIT and SIPI that reach nobody. SDM volume 3, table "IA-32 and
# Intel 64 Processor States Following Power-up, Reset, or INIT", "Local APIC State After It Receives an INIT-Deassert".
#
# The processor goes on at FFFFFFF0H. Without a ROM there is nothing: the fetch is an undefined instruction, which
# the vector table in page 0 brings here. With QEMU's ROM the guest is entered anew.

.include "lib.inc"
.include "apic.inc"

.set LDR, 0xd0
.set ASSERT_INIT, 0x4500
.set SAVED, 0x8000              # what real mode found
.set REGISTERS, SAVED           # EAX to EDI as by PUSHAD
.set CONTROL, SAVED + 0x20      # CR0, CR2, CR3, CR4
.set DEBUG, SAVED + 0x30        # DR0, DR6, DR7
.set SEGMENTS, SAVED + 0x40     # DS, ES, SS, FS, GS
.set TABLES, SAVED + 0x50       # GDTR, IDTR
.set FLAGS_IMAGE, SAVED + 0x60

use16
main:
  cmp dword ptr [phase], 0
  jne after_init
  enter_long
  call nobody
  call prepare
  mov dword ptr [phase], 1
  apic ICR, ASSERT_INIT
  nop
  ud2

# INIT that is not for this processor, by shorthand or without effect; SIPI of one that does not wait for it.
nobody:
  apic SVR, 0x1ff
  apic TPR, 0x20
  apic ICR_HIGH, 0
  .macro harmless name, command, destination=0
  apic ICR_HIGH, (\destination)<<24
  apic ICR, \command
  nop
  read_apic TPR
  check "\name", eax, 0x20
  .endm
  harmless "INIT to another ID", ASSERT_INIT, 5
  harmless "INIT to all but the sender", 0xc0000+ASSERT_INIT
  harmless "INIT level de-assert", 0x8500
  harmless "SIPI to itself", 0x4608
  harmless "SIPI to all but the sender", 0xc4608
  apic ICR_HIGH, 0
  ret

prepare:
  set_bits cr4, CR4_OSFXSR+CR4_OSXSAVE
  xor ecx, ecx
  mov eax, 3
  xor edx, edx
  xsetbv
  mov eax, 0x12345678
  movd xmm5, eax
  mov dword ptr [SCRATCH], 0x1fa0
  ldmxcsr [SCRATCH]
  fninit
  fldpi
  mov word ptr [SCRATCH], 0x27f
  fldcw [SCRATCH]
  write_msr 0x174, 8
  write_msr 0x175, 0x1750
  write_msr 0x277, 0x00070405, 0x00070406
  write_msr 0x2ff, 0xc06
  write_msr 0xc0000081, 0, 0x230008
  write_msr 0xc0000082, 0x4321
  write_msr 0xc0000084, 0x700
  write_msr 0xc0000102, 0x2000
  write_msr 0xc0000103, 0x77
  write_msr 0x3b, 0, 0x100
  write_msr 0x1d9, 2
  mov eax, 0x1234
  mov dr0, rax
  mov eax, 0x400 | 1 << 9
  mov dr7, rax
  mov eax, 0x4000
  mov dr6, rax
  mov eax, 0xdead000
  mov cr2, rax
  set_bits cr0, CR0_WP+CR0_CD+CR0_MP
  clear_bits cr0, CR0_NW
  apic LDR, 0x02000000
  apic LVT_TIMER, 0x50
  self_ipi 0x60
  mov r12d, 0x12121212
  mov esi, 0x51515151
  stc
  # Where the processor will be: 0:offset after_init by vector 6.
  mov dword ptr [4 * V_UD], offset after_init
  ret

use16
after_init:
  mov dword ptr cs:[REGISTERS + 28], eax
  mov dword ptr cs:[REGISTERS + 24], ecx
  mov dword ptr cs:[REGISTERS + 20], edx
  mov dword ptr cs:[REGISTERS + 16], ebx
  mov dword ptr cs:[REGISTERS + 12], esp
  mov dword ptr cs:[REGISTERS + 8], ebp
  mov dword ptr cs:[REGISTERS + 4], esi
  mov dword ptr cs:[REGISTERS], edi
  .set place, SEGMENTS
  .irp segment, ds, es, ss, fs, gs
  mov word ptr cs:[place], \segment
  .set place, place + 2
  .endr
  mov bx, sp
  mov ax, word ptr ss:[bx + 4]
  mov word ptr cs:[FLAGS_IMAGE], ax
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, REAL_STACK
  .set place, CONTROL
  .irp register, cr0, cr2, cr3, cr4, dr0, dr6, dr7
  mov eax, \register
  mov dword ptr [place], eax
  .set place, place + 4
  .endr
  sgdt [TABLES]
  sidt [TABLES + 8]
  enter_long
  call state
  call kept
  call local_apic
  finish

.macro word_at name, place, want
  movzx eax, word ptr [\place]
  check "\name", eax, \want
.endm

state:
  check_memory "EAX", REGISTERS+28, 0
  check_memory "ECX", REGISTERS+24, 0
  mov eax, 1
  cpuid
  mov r13d, [REGISTERS + 20]
  check "EDX is the signature of CPUID", r13d, eax
  check_memory "EBX", REGISTERS+16, 0
  word_at "SP, behind the frame of the exception", REGISTERS+12, 0xfffa
  check_memory "EBP", REGISTERS+8, 0
  check_memory "ESI", REGISTERS+4, 0
  check_memory "EDI", REGISTERS, 0
  check "R12", r12d, 0
  word_at "EFLAGS", FLAGS_IMAGE, 2
  word_at "DS", SEGMENTS, 0
  word_at "ES", SEGMENTS+2, 0
  word_at "SS", SEGMENTS+4, 0
  word_at "FS", SEGMENTS+6, 0
  word_at "GS", SEGMENTS+8, 0
  check_memory "CR0 keeps CD and NW", CONTROL, 0x40000010
  check_memory "CR2", CONTROL+4, 0
  check_memory "CR3", CONTROL+8, 0
  check_memory "CR4", CONTROL+12, 0
  check_memory "DR0", DEBUG, 0
  check_memory "DR6", DEBUG+4, 0xffff0ff0
  check_memory "DR7", DEBUG+8, 0x400
  word_at "GDTR limit", TABLES, 0xffff
  check_memory "GDTR base", TABLES+2, 0
  word_at "IDTR limit", TABLES+8, 0xffff
  check_memory "IDTR base", TABLES+10, 0
  ret

.macro kept_msr name, index, low, high=0
  mov ecx, \index
  rdmsr
  check "\name is kept", eax, \low
  check "\name is kept, upper half", edx, \high
.endm

kept:
  kept_msr "SYSENTER_CS", 0x174, 8
  kept_msr "SYSENTER_ESP", 0x175, 0x1750
  kept_msr "PAT", 0x277, 0x00070405, 0x00070406
  kept_msr "MTRR_DEF_TYPE", 0x2ff, 0xc06
  kept_msr "STAR", 0xc0000081, 0, 0x230008
  kept_msr "LSTAR", 0xc0000082, 0x4321
  kept_msr "FMASK", 0xc0000084, 0x700
  kept_msr "KERNEL_GS_BASE", 0xc0000102, 0x2000
  kept_msr "TSC_AUX", 0xc0000103, 0x77
  kept_msr "APIC_BASE", 0x1b, 0xfee00900
  mov ecx, 0x1d9
  rdmsr
  check "DEBUGCTL is cleared", eax, 0
  rdtsc
  check "the TSC goes on", edx, 0x100
  set_bits cr4, CR4_OSFXSR+CR4_OSXSAVE
  xor ecx, ecx
  xgetbv
  check "XCR0 is kept", eax, 3
  movd eax, xmm5
  check "XMM5 is kept", eax, 0x12345678
  stmxcsr [SCRATCH]
  check_memory "MXCSR is kept", SCRATCH, 0x1fa0
  fnstcw [SCRATCH]
  word_at "FCW is kept", SCRATCH, 0x27f
  fistp dword ptr [SCRATCH]
  check_memory "ST0 is kept", SCRATCH, 3
  ret

local_apic:
  read_apic ID
  check "APIC ID", eax, 0
  read_apic TPR
  check "TPR", eax, 0
  read_apic SVR
  check "SVR", eax, 0xff
  read_apic LDR
  check "LDR", eax, 0
  read_apic LVT_TIMER
  check "LVT timer", eax, MASKED
  read_apic IRR+0x30
  check "IRR", eax, 0
  ret

.data
phase: .quad 0
