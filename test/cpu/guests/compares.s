# Comparisons of floating-point numbers whose flags are read later: behind accesses to memory, behind what engines leave
# to a slow path, in another block, after MXCSR has changed. 64-bit mode.
# SDM volume 2, "UCOMISD", "COMISS"; volume 1, "MXCSR Control and Status Register".

.include "lib.inc"

.set SOMEWHERE, SCRATCH + 0x1000
.set CONTROL, SCRATCH + 0x1040
.set ARITHMETIC, 0x8d5
.set LESS, FL_CF
.set EQUAL, FL_ZF
.set GREATER, 0
.set UNORDERED, FL_ZF + FL_CF + 4

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  mov eax, 1
  cpuid
  mov r12d, ecx
  call doubles
  call singles
  call branches
  call sticky
  bt r12d, 28
  jnc 1f
  enable_avx
  call wide
1:
  finish

# Flags of `compare` as PUSHF has them, four times: EBX has all of them, R13D those that are not the same each time.
.macro flags_of compare, between
  xor ebx, ebx
  mov r13d, -1
  mov ebp, 4
1:
  # All flags are set, and OF.
  mov al, 0x7f
  add al, 1
  \compare
  mov eax, [SOMEWHERE]
  \between
  movaps xmm3, xmm3
  pushfq
  pop rax
  and eax, ARITHMETIC
  or ebx, eax
  and r13d, eax
  dec ebp
  jnz 1b
  xor r13d, ebx
.endm

.macro order name, compare, want
  flags_of "\compare", ""
  check "\name", ebx, \want
  check "\name, each time", r13d, 0
  flags_of "\compare", "fld1; fstp st(0)"
  check "\name, then x87", ebx, \want
  flags_of "\compare", "jmp 2f; 2: mov ecx, [SOMEWHERE]"
  check "\name, in another block", ebx, \want
.endm

.macro orders instruction, kind
  order "\instruction: less", "\instruction xmm0, xmm1", LESS
  order "\instruction: equal", "\instruction xmm1, xmm1", EQUAL
  order "\instruction: greater", "\instruction xmm1, xmm0", GREATER
  order "\instruction: unordered", "\instruction xmm0, xmm2", UNORDERED
  order "\instruction: zeros", "\instruction xmm4, xmm5", EQUAL
  order "\instruction: a number in memory", "\instruction xmm0, [\kind + 8]", LESS
  order "\instruction: NaN in memory", "\instruction xmm1, [\kind + 16]", UNORDERED
.endm

# Less, greater, NaN, and the two zeros.
.macro numbers move, kind
  \move xmm0, [\kind]
  \move xmm1, [\kind + 8]
  \move xmm2, [\kind + 16]
  pxor xmm4, xmm4
  \move xmm5, [\kind + 24]
.endm

doubles:
  numbers movsd, double
  orders ucomisd, double
  orders comisd, double
  ret

singles:
  numbers movss, single
  orders ucomiss, single
  orders comiss, single
  ret

wide:
  numbers movsd, double
  orders vucomisd, double
  ret

# EAX counts those of 1, 2, ... that are below 40.
branches:
  movsd xmm0, [double]
  movsd xmm1, [double]
  movsd xmm2, [forty]
  xor eax, eax
1:
  ucomisd xmm1, xmm2
  mov ecx, [SOMEWHERE]
  jae 2f
  inc eax
  addsd xmm1, xmm0
  jmp 1b
2:
  check "numbers below 40", eax, 39
  # The flags are read behind what overwrites both operands.
  xor eax, eax
  mov ecx, 100
1:
  cvtsi2sd xmm1, ecx
  comisd xmm1, xmm2
  movapd xmm1, xmm0
  mov edx, [SOMEWHERE]
  movapd xmm3, xmm2
  seta dl
  movzx edx, dl
  add eax, edx
  dec ecx
  jnz 1b
  check "numbers above 40", eax, 60
  ret

# Nothing of a comparison happens when its flags are asked for.
sticky:
  mov dword ptr [CONTROL], 0x1f80
  mov ebp, 4
1:
  movsd xmm2, [double + 32]                     # a signalling NaN
  ucomisd xmm2, xmm2
  mov eax, [SOMEWHERE]
  ldmxcsr [CONTROL]
  mov ecx, [SOMEWHERE]
  setp al
  pushfq
  pop rdx
  stmxcsr [CONTROL + 4]
  dec ebp
  jnz 1b
  movzx eax, al
  check "PF of a signalling NaN", eax, 1
  and edx, ARITHMETIC
  check "its flags", edx, UNORDERED
  check_memory "IE has been cleared", CONTROL + 4, 0x1f80
  mov dword ptr [CONTROL + 8], 0x1fc0           # denormals are zeros
  mov ebp, 4
1:
  ldmxcsr [CONTROL + 8]
  movsd xmm2, [double + 40]                     # a denormal
  pxor xmm3, xmm3
  ucomisd xmm2, xmm3
  mov eax, [SOMEWHERE]
  ldmxcsr [CONTROL]
  mov ecx, [SOMEWHERE]
  pushfq
  pop rdx
  dec ebp
  jnz 1b
  and edx, ARITHMETIC
  check "a denormal that was zero", edx, EQUAL
  ret

.balign 16
double:
  .quad 0x3ff0000000000000, 0x4000000000000000, 0x7ff8000000000000, 0x8000000000000000
  .quad 0x7ff0000000000001, 1
single:
  .long 0x3f800000, 0, 0x40000000, 0, 0x7fc00000, 0, 0x80000000, 0
forty:
  .quad 0x4044000000000000
