# Loops of several blocks, which the translator may run as one piece: how they are left. 64-bit mode.

.include "lib.inc"

.set SCRATCH, 0x400000
.set CF, 0x01
.set PF, 0x04
.set AF, 0x10
.set ZF, 0x40
.set SF, 0x80
.set ARITHMETIC, 0x8d5

# Goes round 60 times or so, ECX counting down, until `leave` does not jump to the label 3; the flags are those
# of `setter` then.
.macro leaves name:req, setter:req, leave:req, want:req
  mov ecx, 100
  mov ebx, -3
  xor edx, edx
  jmp 1f
  .balign 64
1:
  lea edx, [rdx + 1]
  \setter
  \leave 3f
  mov rax, [SCRATCH]
  add rax, rdx
  jmp 1b
3:
  pushfq
  pop rax
  and eax, ARITHMETIC
  check "\name", eax, \want
.endm

use16
main:
  enter_long
  mov qword ptr [SCRATCH], 60
  call flags
  call inner_flags
  call changes
  finish

flags:
  leaves "CMP with an immediate", "cmp edx, 60", je, ZF + PF
  leaves "CMP of registers", "cmp edx, ecx", je, ZF + PF
  leaves "CMP with memory", "cmp dl, [SCRATCH]", je, ZF + PF
  leaves "TEST of a register", "test dl, dl", js, SF
  leaves "TEST with an immediate", "test edx, 0x40", jnz, 0
  leaves "TEST of registers", "test edx, ecx", jz, ZF + PF
  leaves "SUB of an immediate", "sub ecx, 3", jbe, CF + AF + SF
  leaves "SUB of a register", "sub ecx, edx", jb, CF + AF + SF
  leaves "ADD of a register", "add ecx, ebx", jnc, SF
  leaves "ADD of an immediate", "add ecx, -3", js, SF
  leaves "AND", "and ecx, edx", jz, ZF + PF
  leaves "DEC", "dec ecx", jz, ZF + PF
  leaves "SUB of bytes", "sub cl, 3", js, CF + AF + SF
  ret

# What sets the flags is in one block, who reads them in the next but one, its operands overwritten in between.
inner_flags:
  mov ecx, 100
  xor ebx, ebx
1:
  cmp ecx, 50
  jmp 2f
2:
  mov edx, ecx
  lea ecx, [rcx - 1]
  mov eax, [SCRATCH]
  jmp 3f
3:
  setb al
  movzx eax, al
  adc ebx, eax
  cmp edx, 1
  ja 1b
  check "flags of operands that are overwritten", ebx, 98
  ret

# The path changes a block of its own further on, once.
changes:
  mov ecx, 1000
  xor ebx, ebx
  mov esi, offset 2f + 1
1:
  mov edi, SCRATCH
  cmp ecx, 500
  cmove edi, esi
  mov dword ptr [rdi], ecx
  test ecx, ecx
  jz 3f
2:
  mov edx, 1
  add ebx, edx
  dec ecx
  jnz 1b
3:
  check "a block ahead changes", ebx, 250500
  ret
