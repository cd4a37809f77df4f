# The same exceptions in real, virtual-8086, 16-bit, 32-bit and compatibility mode: #DE, #OF, #BR, #NM, #MF, #XM, #AC, and what is
# #UD in each. SDM volume 3, "Exception and Interrupt Reference"; volume 2, the exceptions of each instruction.

.include "lib.inc"
.include "real.inc"

.set V86_STACK, 0x8000          # segment

use16
main:
  call real_mode
  enter_protected
  call prepare32
  call protected16
  call protected32
  call virtual8086
  call setup_long
  jump_far CODE64, 1f
use64
1:
  call setup_long_segments
  call compatibility
  finish

# What no mode has, and what is undefined outside protected mode. `check_one` runs each.
.macro undefined_everywhere check_one
  \check_one "UD2", V_UD, ud2
  \check_one "UD1", V_UD, .byte 0x0f, 0xb9, 0xc0
  \check_one "UD0", V_UD, .byte 0x0f, 0xff, 0xc0
  \check_one "LEA of a register", V_UD, .byte 0x8d, 0xc0
  \check_one "BOUND of a register", V_UD, .byte 0x62, 0xc0
  \check_one "VEX behind 66", V_UD, .byte 0x66, 0xc4, 0xe2, 0x78, 0x10, 0xc0
  \check_one "group 4 /7", V_UD, .byte 0xfe, 0xf8
  \check_one "group 11 /1", V_UD, .byte 0xc6, 0xc8, 0
  \check_one "MOV to CS", V_UD, .byte 0x8e, 0xc8
  \check_one "MOV from segment register 7", V_UD, .byte 0x8c, 0xf8
  \check_one "LOCK MOV", V_UD, .byte 0xf0, 0x89, 0x07
  \check_one "0F 04", V_UD, .byte 0x0f, 0x04
  \check_one "0F 0A", V_UD, .byte 0x0f, 0x0a
  \check_one "0F 24", V_UD, .byte 0x0f, 0x24, 0xc0
  \check_one "0F 3F", V_UD, .byte 0x0f, 0x3f, 0xc0
  \check_one "0F 38 FF", V_UD, .byte 0x0f, 0x38, 0xff, 0xc0
  \check_one "0F 3A FF", V_UD, .byte 0x0f, 0x3a, 0xff, 0xc0, 0
  \check_one "0F C7 /0", V_UD, .byte 0x0f, 0xc7, 0x07
  \check_one "XSAVE without OSXSAVE", V_UD, .byte 0x0f, 0xae, 0x27
  \check_one "SYSCALL", V_UD, syscall
  \check_one "SYSRET", V_UD, .byte 0x0f, 0x07
  \check_one "SWAPGS", V_UD, .byte 0x0f, 0x01, 0xf8
  \check_one "RDFSBASE", V_UD, .byte 0xf3, 0x0f, 0xae, 0xc0
.endm

.macro undefined_in_8086 check_one
  \check_one "ARPL", V_UD, .byte 0x63, 0xc0
  \check_one "LAR", V_UD, .byte 0x0f, 0x02, 0xc0
  \check_one "LSL", V_UD, .byte 0x0f, 0x03, 0xc0
  \check_one "SLDT", V_UD, .byte 0x0f, 0x00, 0xc0
  \check_one "STR", V_UD, .byte 0x0f, 0x00, 0xc8
  \check_one "LLDT", V_UD, .byte 0x0f, 0x00, 0xd0
  \check_one "LTR", V_UD, .byte 0x0f, 0x00, 0xd8
  \check_one "VERR", V_UD, .byte 0x0f, 0x00, 0xe0
  \check_one "VERW", V_UD, .byte 0x0f, 0x00, 0xe8
  \check_one "VADDPS", V_UD, .byte 0xc5, 0xf8, 0x58, 0xc0
  \check_one "ANDN", V_UD, .byte 0xc4, 0xe2, 0x78, 0xf2, 0xc0
.endm

# Registers as the cases want them: EBX 0, AL 0x7f + 1 gives OF, ECX 5 is out of `bounds`.
.macro arithmetic check_one, check_trap
  xor ebx, ebx
  \check_one "DIV", V_DE, div bl
  \check_one "AAM of 0", V_DE, .byte 0xd4, 0
  mov ecx, 5
  \check_one "BOUND", V_BR, bound ecx, [bounds]
  mov al, 0x7f
  inc al
  \check_trap "INTO", V_OF, into
  \check_trap "INT3", V_BP, int3
.endm

.macro floating_point check_one
  \check_one "DIVSS", V_XM, divss xmm1, xmm0
  \check_one "WAIT", V_MF, .byte 0x9b
.endm

# Divides by zero without the fault, in any mode.
.macro leave_x87_error
  fninit
  fldcw word ptr [x87_control]
  fld1
  fldz
  fdivp st(1), st
.endm

.macro simd_state
  ldmxcsr dword ptr [mxcsr]
  movss xmm1, dword ptr [one]
  xorps xmm0, xmm0
.endm

# ---- real mode ---------------------------------------------------------------------------------------

.macro real_fault name, vector, code:vararg
  real_faults "real: \name", \vector, \code
.endm

# Traps: the address is that of the next instruction.
.macro real_trap name, number, code:vararg
  vector \number, .Lhandler\@
  mov dword ptr [saved_sp], esp
  \code
.Lat\@:
  xor eax, eax
  jmp .Lafter\@
.Lhandler\@:
  pop ax
  mov esp, dword ptr cs:[saved_sp]
  movzx eax, ax
.Lafter\@:
  check "real: \name", eax, "offset .Lat\@"
.endm

use16
real_mode:
  mov eax, cr4
  or eax, CR4_OSFXSR + CR4_OSXMMEXCPT
  mov cr4, eax
  mov eax, cr0
  or eax, CR0_NE
  mov cr0, eax
  undefined_everywhere real_fault
  undefined_in_8086 real_fault
  arithmetic real_fault, real_trap
  real_fault "SYSENTER", V_GP, sysenter
  real_fault "SYSEXIT", V_GP, .byte 0x0f, 0x35
  leave_x87_error
  simd_state
  floating_point real_fault
  fninit
  mov eax, cr0
  or eax, CR0_TS + CR0_MP
  mov cr0, eax
  real_fault "FLD1 with TS", V_NM, fld1
  real_fault "WAIT with TS and MP", V_NM, .byte 0x9b
  real_fault "ADDPS with TS", V_NM, addps xmm0, xmm0
  clts
  ret

# ---- protected mode ----------------------------------------------------------------------------------

use32
prepare32:
  set_bits cr4, CR4_OSFXSR+CR4_OSXMMEXCPT
  set_bits cr0, CR0_NE+CR0_MP
  mov byte ptr [idt + 8 * V_BR + 5], 0xee
  ret

# Level 0 in a 16-bit code segment.
.macro fault16 name, vector, code:vararg
  arm .Lafter\@, .Lat\@
  jump_far CODE16, .Lat\@
use16
.Lat\@:
  \code
  jump_far CODE32, .Lafter\@
use32
.Lafter\@:
  fault_result "16-bit code: \name", \vector, 0
.endm

.macro trap16 name, vector, code:vararg
  arm .Lafter\@, .Lend\@
  jump_far CODE16, .Lat\@
use16
.Lat\@:
  \code
.Lend\@:
  jump_far CODE32, .Lafter\@
use32
.Lafter\@:
  fault_result "16-bit code: \name", \vector, 0
.endm

protected16:
  undefined_everywhere fault16
  arithmetic fault16, trap16
  leave_x87_error
  simd_state
  floating_point fault16
  fninit
  ret

.macro fault32 name, vector, code:vararg
  user_faults "level 3: \name", \vector, 0, \code
.endm

.macro trap32 name, vector, code:vararg
  user_traps "level 3: \name", \vector, 0, \code
.endm

protected32:
  undefined_everywhere fault32
  arithmetic fault32, trap32
  leave_x87_error
  simd_state
  floating_point fault32
  fninit
  set_bits cr0, CR0_TS
  fault32 "FLD1 with TS", V_NM, fld1
  fault32 "ADDPS with TS", V_NM, addps xmm0, xmm0
  clts
  set_bits cr0, CR0_AM
  push 2 + FL_AC
  popfd
  mov edi, SCRATCH + 1
  fault32 "unaligned", V_AC, mov eax, [edi]
  push 2
  popfd
  clear_bits cr0, CR0_AM
  ret

# ---- virtual-8086 mode ---------------------------------------------------------------------------------

.macro enter_v86 target
  push 0
  push 0
  push 0
  push 0
  push V86_STACK
  push 0x1000
  push [v86_flags]
  push 0
  push offset \target
  iretd
.endm

.macro fault_v86 name, vector, code:vararg
  arm .Lafter\@, .Lat\@
  enter_v86 .Lat\@
use16
.Lat\@:
  \code
  int SYSTEM_CALL
use32
.Lafter\@:
  fault_result "virtual-8086: \name", \vector, 0
.endm

.macro trap_v86 name, vector, code:vararg
  arm .Lafter\@, .Lend\@
  enter_v86 .Lat\@
use16
.Lat\@:
  \code
.Lend\@:
  int SYSTEM_CALL
use32
.Lafter\@:
  fault_result "virtual-8086: \name", \vector, 0
.endm

virtual8086:
  mov dword ptr [v86_flags], FL_VM + FL_IOPL3 + 2
  undefined_everywhere fault_v86
  undefined_in_8086 fault_v86
  mov dword ptr [v86_flags], FL_VM + FL_IOPL3 + FL_OF + 2
  arithmetic fault_v86, trap_v86
  leave_x87_error
  simd_state
  floating_point fault_v86
  fninit
  fault_v86 "SYSEXIT", V_GP, .byte 0x0f, 0x35
  fault_v86 "HLT", V_GP, hlt
  fault_v86 "CLTS", V_GP, clts
  fault_v86 "INVD", V_GP, invd
  fault_v86 "WBINVD", V_GP, wbinvd
  fault_v86 "RDMSR", V_GP, rdmsr
  fault_v86 "WRMSR", V_GP, wrmsr
  fault_v86 "LMSW", V_GP, lmsw ax
  fault_v86 "MOV from CR0", V_GP, mov eax, cr0
  fault_v86 "MOV to CR3", V_GP, mov cr3, eax
  fault_v86 "MOV from DR7", V_GP, mov eax, dr7
  fault_v86 "LIDT", V_GP, .byte 0x0f, 0x01, 0x1f
  fault_v86 "INVLPG", V_GP, .byte 0x0f, 0x01, 0x3f
  fault_v86 "SMSW", SYSTEM_CALL, smsw ax
  set_bits cr0, CR0_TS
  fault_v86 "FLD1 with TS", V_NM, fld1
  clts
  set_bits cr0, CR0_AM
  mov dword ptr [v86_flags], FL_VM + FL_IOPL3 + FL_AC + 2
  mov ebx, 0x8001
  fault_v86 "unaligned", V_AC, mov ax, [bx]
  clear_bits cr0, CR0_AM
  ret

# ---- compatibility mode ----------------------------------------------------------------------------------

.macro enter_compatibility target
  push USER_DATA
  push USER_STACK
  push [v86_flags]
  push USER_CODE32
  push offset \target
  iretq
.endm

.macro compat_fault name, vector, code:vararg
  arm .Lafter\@, .Lat\@
  enter_compatibility .Lat\@
use32
.Lat\@:
  \code
  int SYSTEM_CALL
use64
.Lafter\@:
  fault_result "compatibility: \name", \vector, 0
.endm

.macro compat_trap name, vector, code:vararg
  arm .Lafter\@, .Lend\@
  enter_compatibility .Lat\@
use32
.Lat\@:
  \code
.Lend\@:
  int SYSTEM_CALL
use64
.Lafter\@:
  fault_result "compatibility: \name", \vector, 0
.endm

use64
compatibility:
  mov byte ptr [idt + 16 * V_BR + 5], 0xee
  mov dword ptr [v86_flags], FL_OF + 2
  undefined_everywhere compat_fault
  arithmetic compat_fault, compat_trap
  leave_x87_error
  simd_state
  floating_point compat_fault
  fninit
  set_bits cr0, CR0_TS
  compat_fault "FLD1 with TS", V_NM, fld1
  clts
  set_bits cr0, CR0_AM
  mov dword ptr [v86_flags], FL_AC + 2
  mov edi, SCRATCH + 1
  compat_fault "unaligned", V_AC, mov eax, [edi]
  clear_bits cr0, CR0_AM
  ret

.data
saved_sp: .quad 0
v86_flags: .quad 0
.balign 16
bounds: .long 0, 4
mxcsr: .long 0x1f80 - 0x200
one: .float 1.0
x87_control: .word 0x37b
