# Vector registers while something else happens between two instructions that use them: exceptions, instructions
# that engines leave to a slow path, changes of what the registers depend on. Each case goes round four times, in a
# loop of SSE alone and in one of AVX, and looks at all registers then, upper halves among them. 64-bit mode.

.include "lib.inc"
.include "pages.inc"

.set AREA, SCRATCH + 0x1000     # XSAVE area
.set WANT, SCRATCH + 0x3000     # registers as they ought to be, 32 bytes each
.set GOT, SCRATCH + 0x3200
.set COUNT, SCRATCH + 0x3400    # times still to go round
.set HAS_AVX, SCRATCH + 0x3408
.set ZERO, SCRATCH + 0x3410     # 32 bytes are 0
.set CONTROL, SCRATCH + 0x3440  # for MXCSR
.set EXCHANGED, SCRATCH + 0x3480
.set PT, 0x110000               # page table for the 2 MiB at PAGE
.set PAGE, 0x40000000           # linear address of two pages; the second is absent
.set FRAME, 0x300000

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR + CR4_OSXMMEXCPT
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PT], FRAME + P + W
  mov r8d, PAGE
  mov eax, 1
  cpuid
  bt ecx, 28
  setc byte ptr [HAS_AVX]
  jnc 1f
  enable_avx
1:
  call left_to_others
  call branches
  call exceptions
  call blocked
  call contexts
  call cleared
  finish

.set WIDE, 0

# Uses a register and leaves it as it is.
.macro touch
.if WIDE
  vpor ymm5, ymm5, ymm5
.else
  por xmm5, xmm5
.endif
.endm

# Adds to a register.
.macro add_to number, operand:vararg
.if WIDE
  vpaddd ymm\number, ymm\number, ymmword ptr \operand
.else
  paddd xmm\number, xmmword ptr \operand
.endif
.endm

# XMM1 and XMM9 lose one at each time.
.macro rounds code:req
  mov dword ptr [COUNT], 4
1:
.if WIDE
  vpaddd ymm1, ymm1, ymm15
.else
  paddd xmm1, xmm15
.endif
  \code
.if WIDE
  vpaddd ymm9, ymm9, ymm15
.else
  paddd xmm9, xmm15
.endif
  dec dword ptr [COUNT]
  jnz 1b
.endm

# `code` may change RAX, RDX, R9 and flags.
.macro survives name:req, code:req
  call fill
  rounds "\code"
  mov eax, 16
  call compare
  check "\name: XMM", ebx, 0
  cmp byte ptr [HAS_AVX], 0
  je .Lnone\@
.set WIDE, 1
  call fill
  rounds "\code"
.set WIDE, 0
  mov eax, 32
  call compare
  check "\name: YMM", ebx, 0
.Lnone\@:
.endm

# Another value in each doubleword; all ones in register 15.
fill:
  xor eax, eax
1:
  imul ecx, eax, 0x01010103
  mov [WANT + rax * 4], ecx
  inc eax
  cmp eax, 15 * 8
  jb 1b
1:
  mov dword ptr [WANT + rax * 4], -1
  inc eax
  cmp eax, 16 * 8
  jb 1b
  cmp byte ptr [HAS_AVX], 0
  je 1f
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vmovdqa ymm\n, [WANT + 32 * \n]
  .endr
  ret
1:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  movdqa xmm\n, [WANT + 32 * \n]
  .endr
  ret

# EBX: which registers are wrong behind rounds() of EAX bytes.
compare:
  mov edi, 32
1:
  sub dword ptr [WANT + rdi], 4
  sub dword ptr [WANT + rdi + 8 * 32], 4
  add edi, 4
  sub eax, 4
  jnz 1b
differences:
  cmp byte ptr [HAS_AVX], 0
  je 1f
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vmovdqa [GOT + 32 * \n], ymm\n
  .endr
  xor esi, esi
  jmp 2f
1:
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  movdqa [GOT + 32 * \n], xmm\n
  .endr
  mov esi, 16
2:
  xor ebx, ebx
  xor edi, edi
3:
  mov eax, [WANT + rdi]
  cmp eax, [GOT + rdi]
  je 4f
  mov eax, edi
  shr eax, 5
  bts ebx, eax
4:
  add edi, 4
  test edi, 16
  jz 5f
  add edi, esi
5:
  cmp edi, 512
  jb 3b
  ret

left_to_others:
  survives "nothing", "touch"
  survives "CMPXCHG8B", "cmpxchg8b [EXCHANGED]"
  survives "flags of CMPXCHG8B", "touch; cmpxchg8b [EXCHANGED]; touch; setz al"
  survives "two at once", "touch; fld1; fstp st(0); touch; fldz; fstp st(0); touch"
  survives "a division of 128 bits", "touch; mov edx, 1; xor eax, eax; mov r9d, 3; div r9; touch"
  survives "CPUID", "touch; xor eax, eax; call identify; touch"
  survives "a load misses the TLB", "invlpg [r8]; touch; mov eax, [r8]; touch"
  survives "a store misses the TLB", "invlpg [r8]; touch; mov [r8 + 64], eax; touch"
  survives "an operand misses the TLB", "touch; invlpg [r8]; add_to 2, [r8 + 32]; touch"
  survives "a load across pages", "mov dword ptr [PT + 8], FRAME + P + W; touch; mov rax, [r8 + 4092]; touch"
  survives "flags behind a miss", "touch; cmp eax, eax; invlpg [r8]; touch; adc dword ptr [r8 + 64], 0; touch; setc al"
  mov dword ptr [PT + 8], 0
  mov eax, PAGE + 0x1000
  invlpg [rax]
  ret

identify:
  push rbx
  push rcx
  cpuid
  pop rcx
  pop rbx
  ret

branches:
  survives "a jump that alternates", "touch; mov eax, [COUNT]; and eax, 1; lea rax, [turn + rax * 8]; call rax; touch"
  survives "a return that no call announced", "touch; lea rax, [2f]; push rax; ret; 2: touch"
  survives "a call to another page", "touch; call other_page; touch"
  survives "a jump to another page", "touch; lea rax, [2f]; jmp other_page_too; 2: touch"
  ret

.balign 8
turn:
  touch
  ret
.balign 8
  touch
  ret

# What is armed is met at each time.
.macro meets code:vararg
  arm 3f, 2f
2:
  \code
3:
.endm

exceptions:
  survives "#UD", "touch; meets ud2"
  survives "INT3", "arm 3f, 3f; touch; int3; 3: touch"
  survives "#PF of a load", "touch; meets mov eax, [r8 + 0x1000]"
  survives "#PF of an operand", "touch; meets add_to 2, [r8 + 0x1000]"
  survives "#GP of an operand", "mov r9d, 1; shl r9, 63; touch; meets add_to 2, [r9]"
  survives "a system call", "arm 3f, 2f; enter_user 2f; 2: touch; int SYSTEM_CALL; 3: touch"
  fault_result "the last of them", SYSTEM_CALL, 0
  ret

.macro divides
.if WIDE
  vdivps ymm3, ymm3, ymmword ptr [ZERO]
.else
  divps xmm3, xmmword ptr [ZERO]
.endif
.endm

blocked:
  survives "#NM", "set_bits cr0, CR0_TS; meets touch; clts; touch"
  fault_result "with TS it is #NM", V_NM, 0
  survives "no #NM", "touch; set_bits cr0, CR0_TS; cmpxchg8b [EXCHANGED]; clts; touch"
  call fill
  rounds "touch; clear_bits cr4, CR4_OSFXSR; meets touch; set_bits cr4, CR4_OSFXSR; touch"
  mov eax, 16
  call compare
  check "#UD without OSFXSR", ebx, 0
  fault_result "without OSFXSR it is", V_UD, 0
  mov dword ptr [CONTROL], 0x1d80               # division by zero unmasked
  mov dword ptr [CONTROL + 4], 0x1f80
  survives "#XM", "ldmxcsr [CONTROL]; touch; meets divides; ldmxcsr [CONTROL + 4]; touch"
  fault_result "1 / 0 is #XM", V_XM, 0
  survives "MXCSR in between", "touch; ldmxcsr [CONTROL]; touch; ldmxcsr [CONTROL + 4]; touch"
  ret

# Other values in all registers.
.macro spoil
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.if WIDE
  vpcmpeqd ymm\n, ymm\n, ymm\n
.else
  pcmpeqd xmm\n, xmm\n
.endif
  .endr
.endm

# All components.
.macro switch save, restore
  mov eax, -1
  mov edx, eax
  \save [AREA]
  spoil
  mov eax, -1
  mov edx, eax
  \restore [AREA]
.endm

contexts:
  call fill
  rounds "touch; fxsave64 [AREA]; spoil; touch; fxrstor64 [AREA]; touch"
  mov eax, 16
  call compare
  check "FXSAVE and FXRSTOR", ebx, 0
  cmp byte ptr [HAS_AVX], 0
  je 1f
  xor eax, eax
  mov edi, AREA
  mov ecx, 4096 / 4
  rep stosd
  survives "XSAVE and XRSTOR", "switch xsave64, xrstor64"
1:
  ret

# VZEROUPPER, VZEROALL, and what comes behind.
cleared:
  cmp byte ptr [HAS_AVX], 0
  je none
  .irp code, touch, "cmpxchg8b [EXCHANGED]", "mov dword ptr [COUNT], 1"
  call fill
  vzeroupper
  \code
  pxor xmm3, xmm3
  call want_halves
  movdqa [WANT + 32 * 3], xmm3
  call differences
  check "VZEROUPPER, then \code", ebx, 0
  .endr
  call fill
  paddd xmm2, xmm15
  vzeroall
  cmpxchg8b [EXCHANGED]
  pcmpeqd xmm4, xmm4
  xor eax, eax
  mov edi, WANT
  mov ecx, 512 / 4
  rep stosd
  movdqa [WANT + 32 * 4], xmm4
  call differences
  check "VZEROALL", ebx, 0
none:
  ret

# WANT without upper halves.
want_halves:
  xor edi, edi
1:
  mov qword ptr [WANT + rdi + 16], 0
  mov qword ptr [WANT + rdi + 24], 0
  add edi, 32
  cmp edi, 512
  jb 1b
  ret

.balign 4096
other_page:
  touch
  ret
other_page_too:
  touch
  jmp rax
