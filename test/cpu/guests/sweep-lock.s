# LOCK before every opcode of the one-byte and the 0F map, with all values of ModR/M's reg field, memory and register
# operands: #UD but for the few that it may precede. Level 3, protected mode and 64-bit mode.
# SDM volume 2, "LOCK - Assert LOCK# Signal Prefix".

.include "lib.inc"

.set CODE, SCRATCH
.set OPERAND, SCRATCH + 0x1000

use16
main:
  call allow
  enter_protected
  call sweep32
  check_memory "protected mode: last mismatch (mod, reg, opcode, map)", mismatch, 0
  check_memory "protected mode: mismatches", mismatches, 0
  check_memory "protected mode: taken", taken, "14*8+4*7+2*8+2*2+2*2+7*8+3+1"
  mov dword ptr [mismatches], 0
  mov dword ptr [taken], 0
  call setup_long
  jump_far CODE64, 1f
use64
1:
  call setup_long_segments
  call sweep64
  check_memory "64-bit mode: last mismatch (mod, reg, opcode, map)", mismatch, 0
  check_memory "64-bit mode: mismatches", mismatches, 0
  check_memory "64-bit mode: taken", taken, "14*8+3*7+2*8+2*2+2*2+7*8+3+1"
  finish

# Fills `lockable`: for each opcode the reg fields that LOCK may stand before, with a memory operand.
use16
allow:
  mov si, offset allowed
1:
  lodsw
  test ax, ax
  jz 2f
  movzx bx, byte ptr [si]
  inc si
  add bx, ax
  mov al, [si]
  inc si
  mov [bx], al
  jmp 1b
2:
  ret

.macro sweep_code bits, r
use\bits
sweep\bits:
  mov dword ptr [map], 0
.Lmap\bits:
  mov dword ptr [opcode], 0
.Lopcode\bits:
  call is_prefix\bits
  jc .Lnext\bits
  mov dword ptr [modrm], 0
.Lmodrm\bits:
  call one\bits
  inc dword ptr [modrm]
  cmp dword ptr [modrm], 16
  jb .Lmodrm\bits
.Lnext\bits:
  inc dword ptr [opcode]
  cmp dword ptr [opcode], 256
  jb .Lopcode\bits
  inc dword ptr [map]
  cmp dword ptr [map], 2
  jb .Lmap\bits
  ret

# CF where the opcode is a prefix or the escape to the other map.
is_prefix\bits:
  cmp dword ptr [map], 0
  jne 2f
  mov eax, [opcode]
  .irp prefix, 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3
  cmp eax, \prefix
  je 1f
  .endr
.if \bits == 64
  and eax, 0xf0
  cmp eax, 0x40
  je 1f
.endif
2:
  clc
  ret
1:
  stc
  ret

# `modrm` has reg in bits 0 to 2, and register operands in bit 3.
one\bits:
  mov dword ptr [CODE + 4], 0xcccccccc
  mov dword ptr [CODE + 8], 0xcccccccc
  mov dword ptr [CODE + 12], 0xcccccccc
  mov edi, CODE
  mov byte ptr [\r\()di], 0xf0
  inc edi
  cmp dword ptr [map], 0
  je 1f
  mov byte ptr [\r\()di], 0x0f
  inc edi
1:
  mov eax, [opcode]
  mov [\r\()di], al
  mov ecx, [modrm]
  mov eax, ecx
  and eax, 7
  shl eax, 3
  or eax, 7                                     # [rDI] or rDI
  test ecx, 8
  jz 1f
  or eax, 0xc0
1:
  mov [\r\()di + 1], al
  # What is there, and what it should be.
  mov dword ptr [OPERAND], 0
  mov dword ptr [OPERAND + 4], 0
  arm .Lran\bits, CODE
  push USER_DATA
  push USER_STACK
  push 2
.if \bits == 64
  push USER_CODE64
.else
  push USER_CODE32
.endif
  push CODE
  xor eax, eax
  xor ecx, ecx
  xor edx, edx
  xor ebx, ebx
  xor esi, esi
  mov ebp, OPERAND
  mov edi, OPERAND
.if \bits == 64
  iretq
.else
  iretd
.endif
.Lran\bits:
  mov dword ptr [resume], offset unexpected\bits
  mov eax, [map]
  shl eax, 8
  add eax, [opcode]
  movzx eax, byte ptr [lockable + eax]
  mov ecx, [modrm]
  mov edx, V_UD
  cmp ecx, 8
  jae 1f
  bt eax, ecx
  jnc 1f
.if \bits == 64
  cmp dword ptr [opcode], 0x82                  # an alias of 80H in legacy modes only
  je 1f
.endif
  mov edx, V_BP
1:
  cmp dword ptr [last_vector], V_BP
  jne 1f
  inc dword ptr [taken]
1:
  cmp edx, [last_vector]
  jne 1f
  cmp edx, V_UD
  jne 2f
  cmp dword ptr [last_ip], CODE
  je 2f
1:
  inc dword ptr [mismatches]
  mov eax, [modrm]
  shl eax, 16
  mov ah, [opcode]
  mov al, [map]
  mov [mismatch], eax
2:
  ret
.endm

sweep_code 32, e
sweep_code 64, r

.data
# Offset into the maps, opcode, reg fields.
.macro rows place, mask, opcodes:vararg
  .irp opcode, \opcodes
  .word \place
  .byte \opcode, \mask
  .endr
.endm
allowed:
  rows "lockable", 0xff, 0x00, 0x01, 0x08, 0x09, 0x10, 0x11, 0x18, 0x19, 0x20, 0x21, 0x28, 0x29, 0x30, 0x31
  rows "lockable", 0x7f, 0x80, 0x81, 0x82, 0x83
  rows "lockable", 0xff, 0x86, 0x87
  rows "lockable", 0x0c, 0xf6, 0xf7
  rows "lockable", 0x03, 0xfe, 0xff
  rows "lockable + 256", 0xff, 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xc0, 0xc1
  rows "lockable + 256", 0xe0, 0xba
  rows "lockable + 256", 0x02, 0xc7
  .word 0
lockable: .fill 512, 1, 0
map: .quad 0
opcode: .quad 0
modrm: .quad 0
mismatch: .quad 0
mismatches: .quad 0
taken: .quad 0
