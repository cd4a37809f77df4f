# Loops of several blocks, which the translator may run as one piece: how they are left. 64-bit mode.

.include "lib.inc"

.set SCRATCH, 0x400000
.set CF, 0x01
.set PF, 0x04
.set AF, 0x10
.set ZF, 0x40
.set SF, 0x80
.set OF, 0x800
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
  call shifts
  call tables
  call variables
  call changes
  set_bits cr4, CR4_OSFXSR
  call sums
  call left_in_the_middle
  call without_sse
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

# Flags of shifts behind a load, by PUSHFQ and by a carry in the next block. OF is for shifts by one only, AF for none.
.set SHIFTED, ARITHMETIC - AF

.macro shift_flags name:req, mask:req, want:req, value:req, code:vararg
  mov rbx, \value
  mov ecx, 60
1:
  mov rdx, rbx
  mov r14, rbx
  \code
  mov rax, [SCRATCH]
  pushfq
  pop r9
  dec ecx
  jnz 1b
  and r9d, \mask
  check "\name", r9d, \want
.endm

.macro shift_carry name:req, want:req, value:req, code:vararg
  mov rbx, \value
  mov ecx, 60
  xor r8d, r8d
1:
  mov rdx, rbx
  mov r14, rbx
  \code
  mov rax, [SCRATCH]
  jmp 2f
2:
  adc r8d, 0
  dec ecx
  jnz 1b
  check "\name: carries", r8d, \want
.endm

shifts:
  shift_flags "SHL by one", SHIFTED, CF+OF+PF, 0x4000000080000003, shl edx, 1
  shift_flags "SHL of 64 bits", SHIFTED, OF+SF+PF, 0x4000000080000003, shl rdx
  shift_flags "SHL by four", SHIFTED-OF, CF, 0x123456789abcdef1, shl rdx, 4
  shift_flags "SHR by one", SHIFTED, CF+OF, 0x80000003, shr edx, 1
  shift_flags "SHR of bytes", SHIFTED-OF, CF+ZF+PF, 0x104, shr dl, 3
  shift_flags "SHR of words", SHIFTED-OF, PF, 0x18030, shr dx, 4
  shift_flags "SHR of a register in memory", SHIFTED-OF, CF+PF, 0x7b, shr r14, 5
  shift_flags "SAR by 63", SHIFTED-OF, CF+SF+PF, -1, sar rdx, 63
  shift_flags "SAR of bytes", SHIFTED-OF, SF+PF, 0x85, sar dl, 2
  shift_carry "SHR", 60, 0x7f, shr edx, 3
  shift_carry "SHL", 0, 0x7f, shl edx, 3
  shift_carry "SAR", 60, -1, sar rdx, 9
  ret

# Indices that the loop has from what it loads; half of the table lies on the next page.
.set TABLE, SCRATCH + 0x3000 - 512

tables:
  xor ecx, ecx
1:
  imul eax, ecx, 0x01010107
  mov [TABLE + rcx * 4], eax
  inc ecx
  cmp ecx, 256
  jb 1b
  mov edi, TABLE
  mov ecx, 1000
  mov ebx, -1
1:
  movzx r10d, bl
  shr ebx, 8
  xor ebx, [rdi + r10 * 4]
  dec ecx
  jnz 1b
  check "a table by MOVZX", ebx, 0x1b19baf7
  mov ecx, 1000
1:
  mov edx, ebx
  and edx, 0x7f
  shr ebx, 3
  add ebx, [rdi + rdx * 4 + 256]
  mov [rdi + rdx * 4 + 256], ebx
  dec ecx
  jnz 1b
  check "a table by AND", ebx, 0xc361777f
  ret

# A pointer that the loop loads from a place that stays, and moves to another page now and then.
.set POINTER, SCRATCH + 0x8000

variables:
  mov esi, POINTER
  mov qword ptr [rsi], offset SCRATCH + 0x9000
  mov qword ptr [SCRATCH + 0x9000], 0
  mov qword ptr [SCRATCH + 0xa000], 0
  xor ebx, ebx
  mov ecx, 1000
1:
  mov r10, [rsi]
  add [r10], ecx
  add ebx, [r10]
  test cl, 3
  jnz 2f
  xor qword ptr [rsi], 0x3000
2:
  dec ecx
  jnz 1b
  check "a pointer that moves", ebx, 0x9f4d8e2
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

# Misaligned, over the end of a page.
.set NUMBERS, SCRATCH + 0x1000 - 0x338

sums:
  mov edi, NUMBERS
  xor eax, eax
1:
  mov [rdi + rax * 4], eax
  inc eax
  cmp eax, 400
  jb 1b
  pxor xmm0, xmm0
  pxor xmm3, xmm3
  xor eax, eax
1:
  movdqu xmm2, [rdi + rax]
  paddd xmm0, xmm2
  test al, 0x10
  jz 2f
  paddd xmm3, xmm2
2:
  add eax, 16
  cmp eax, 1600
  jb 1b
  movd eax, xmm0
  check "a sum in a vector register", eax, 19800
  pshufd xmm0, xmm0, 3
  movd eax, xmm0
  check "its highest element", eax, 20100
  movd eax, xmm3
  check "what only some rounds add", eax, 10000
  movd eax, xmm2
  check "what the last round loaded", eax, 396
  ret

# Of two counters the second is behind at the way out.
left_in_the_middle:
  pcmpeqd xmm4, xmm4
  pxor xmm0, xmm0
  pxor xmm1, xmm1
  mov ecx, 100
1:
  psubd xmm0, xmm4
  dec ecx
  cmp ecx, 40
  je 2f
  psubd xmm1, xmm4
  jmp 1b
2:
  movd eax, xmm0
  check "the first counter at the way out", eax, 60
  movd eax, xmm1
  check "the second counter at the way out", eax, 59
  ret

# ECX rounds.
count:
  xor edx, edx
1:
  lea edx, [rdx + 1]
counts:
  psubd xmm0, xmm4
  dec ecx
  jnz 1b
  ret

# CR0.TS is asked at the instruction that depends on it, though the loop has been one piece before.
without_sse:
  pxor xmm0, xmm0
  mov ecx, 50
  call count
  set_bits cr0, CR0_TS
  mov ecx, 50
  arm 1f, counts
  call count
1:
  fault_result "a loop of SSE with TS is #NM", V_NM, 0
  check "in its first round", edx, 1
  check "before it counts", ecx, 50
  clts
  movd eax, xmm0
  check "the counter is as it was", eax, 50
  ret
