# The XSAVE family with AVX and AVX-512 state where CPUID has them: sizes, init optimization, compaction, header checks. 64-bit mode.
# SDM volume 1, "Managing State Using the XSAVE Feature Set".

.include "lib.inc"

.set FROM, SCRATCH + 0x1000
.set TO, SCRATCH + 0x2000
.set BV, 512
.set COMP, 520
.set UPPER, 576

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  mov eax, 1
  cpuid
  bt ecx, 26
  jnc none
  set_bits cr4, CR4_OSXSAVE
  # R12: the components that there are, 3, 7 or E7H. R13, R14: bytes of their area, of the compacted one.
  state_components r12d
  mov r13d, 576
  cmp r12d, 3
  je 1f
  mov r13d, 832
  cmp r12d, 7
  je 1f
  mov r13d, 2688
1:
  mov r14d, r13d
  cmp r12d, 0xe7
  jne 1f
  mov r14d, 832 + 64 + 512 + 1024
1:
  call sizes
  call standard
  call optimized
  call compacted
  call supervisor
none:
  check "the end", r12d, r12d
  finish

.macro component number, bytes, offset
  mov eax, 0xd
  mov ecx, \number
  cpuid
  check "0DH.\number: bytes", eax, \bytes
  check "0DH.\number: offset", ebx, \offset
  check "0DH.\number: alignment", ecx, 0
.endm

sizes:
  mov eax, 0xd
  xor ecx, ecx
  cpuid
  check "0DH: components", eax, r12d
  check "0DH: area of all", ecx, r13d
  check "0DH: area of XCR0 after reset", ebx, 576
  xor ecx, ecx
  xor edx, edx
  mov eax, 6
  faults "XSETBV without x87 is #GP(0)", V_GP, 0, xsetbv
  mov eax, 5
  faults "XSETBV AVX without SSE is #GP(0)", V_GP, 0, xsetbv
  test r12d, 0x80
  jz 1f
  mov eax, 0xe3
  faults "XSETBV AVX-512 without AVX is #GP(0)", V_GP, 0, xsetbv
  mov eax, 0x67
  faults "XSETBV of a part of AVX-512 is #GP(0)", V_GP, 0, xsetbv
  mov eax, 0x27
  faults "XSETBV of opmasks alone is #GP(0)", V_GP, 0, xsetbv
1:
  mov eax, 0x107
  faults "XSETBV of what is not there is #GP(0)", V_GP, 0, xsetbv
  mov eax, r12d
  faults "XSETBV of all components", NONE, 0, xsetbv
  mov eax, 0xd
  xor ecx, ecx
  cpuid
  check "0DH: area of XCR0", ebx, r13d
  mov eax, 0xd
  mov ecx, 1
  cpuid
  check "0DH.1: compacted area of XCR0", ebx, r14d
  mov eax, 0xd
  mov ecx, 2
  cpuid
  mov esi, 256
  mov edi, 576
  test r12d, 4
  jnz 1f
  xor esi, esi
  xor edi, edi
1:
  check "0DH.2: bytes of AVX state", eax, esi
  check "0DH.2: its offset", ebx, edi
  test r12d, 0x80
  jz 1f
  component 5, 64, 1088
  component 6, 512, 1152
  component 7, 1024, 1664
1:
  ret

# Fills an area with `byte`, its header with zeros.
.macro fill area, byte
  cld
  mov edi, \area
  mov ecx, 2688
  mov al, \byte
  rep stosb
  mov edi, \area + BV
  mov ecx, 64
  xor eax, eax
  rep stosb
.endm

.macro ask components
  mov eax, \components
  xor edx, edx
.endm

# Loads FROM with a pattern in every component, as the standard form.
load_pattern:
  fill FROM, 0x11
  mov dword ptr [FROM + 24], 0x1f80
  mov dword ptr [FROM], 0x37f
  mov dword ptr [FROM + 4], 0xff
  mov [FROM + BV], r12d
  ask 0xe7
  xrstor64 [FROM]
  ret

standard:
  call load_pattern
  fill TO, 0x22
  ask 0xe7
  xsave64 [TO]
  check_memory "XSAVE: XSTATE_BV", TO+BV, r12d
  check_memory "XSAVE: XMM15", TO+160+15*16, 0x11111111
  mov eax, [TO + UPPER + 15 * 16]
  mov esi, 0x11111111
  test r12d, 4
  jnz 1f
  mov esi, 0x22222222
1:
  check "XSAVE: upper half of YMM15", eax, esi
  check_memory "XSAVE: XCOMP_BV is not written", TO+COMP, 0
  test r12d, 0x80
  jz 1f
  check_memory "XSAVE: k0", TO+1088, 0x11111111
  check_memory "XSAVE: k7", TO+1088+60, 0x11111111
  check_memory "XSAVE: upper half of ZMM0", TO+1152, 0x11111111
  check_memory "XSAVE: upper half of ZMM15", TO+1152+508, 0x11111111
  check_memory "XSAVE: ZMM16", TO+1664, 0x11111111
  check_memory "XSAVE: ZMM31", TO+1664+1020, 0x11111111
  fill TO, 0x22
  ask 0x40
  xsave64 [TO]
  check_memory "XSAVE of ZMM_Hi256: XSTATE_BV", TO+BV, 0x40
  check_memory "XSAVE of ZMM_Hi256: k0 stays", TO+1088, 0x22222222
  check_memory "XSAVE of ZMM_Hi256: upper half of ZMM0", TO+1152, 0x11111111
1:
  # Nothing but SSE.
  fill TO, 0x22
  ask 2
  xsave64 [TO]
  check_memory "XSAVE of SSE: XSTATE_BV", TO+BV, 2
  check_memory "XSAVE of SSE: FCW stays", TO, 0x22222222
  check_memory "XSAVE of SSE: YMM0 stays", TO+UPPER, 0x22222222
  # The standard form loads MXCSR even where SSE is to be initialized.
  mov dword ptr [FROM + BV], 0
  mov dword ptr [FROM + 24], 0x1fa0
  ask 0xe7
  xrstor64 [FROM]
  stmxcsr [TO]
  check_memory "XRSTOR: MXCSR from memory", TO, 0x1fa0
  movd eax, xmm7
  check "XRSTOR: XMM7 initialized", eax, 0
  mov dword ptr [FROM + 24], 0x80000000
  ask 2
  faults "XRSTOR: a reserved bit of MXCSR is #GP(0)", V_GP, 0, xrstor64 [FROM]
  ask 1
  faults "XRSTOR of x87 does not look at MXCSR", NONE, 0, xrstor64 [FROM]
  mov dword ptr [FROM + 24], 0x1f80
  mov dword ptr [FROM + BV + 40], 1
  ask 3
  faults "XRSTOR: the standard form looks at 24 bytes of the header", NONE, 0, xrstor64 [FROM]
  mov dword ptr [FROM + BV + 16], 1
  faults "XRSTOR: byte 16 of the header is #GP(0)", V_GP, 0, xrstor64 [FROM]
  ret

# Initializes everything.
initialize:
  fill FROM, 0
  mov dword ptr [FROM + 24], 0x1f80
  ask 0xe7
  xrstor64 [FROM]
  ret

optimized:
  mov eax, 0xd
  mov ecx, 1
  cpuid
  bt eax, 0
  jnc 1f
  call initialize
  fill TO, 0x22
  ask 0xe7
  xsaveopt64 [TO]
  check_memory "XSAVEOPT: nothing in use", TO+BV, 0
  check_memory "XSAVEOPT: XMM0 stays", TO+160, 0x22222222
  check_memory "XSAVEOPT: MXCSR is written", TO+24, 0x1f80
  fill TO, 0x22
  mov eax, 0x1234
  movd xmm9, eax
  ask 0xe7
  xsaveopt64 [TO]
  check_memory "XSAVEOPT: SSE in use", TO+BV, 2
  check_memory "XSAVEOPT: XMM9", TO+160+9*16, 0x1234
  mov ecx, 1
  xgetbv
  check "XGETBV of 1: SSE in use", eax, 2
  mov ecx, 2
  faults "XGETBV of 2 is #GP(0)", V_GP, 0, xgetbv
1:
  ret

compacted:
  mov eax, 0xd
  mov ecx, 1
  cpuid
  bt eax, 1
  jnc 1f
  call initialize
  fill TO, 0x22
  ask 0xe7
  xsavec64 [TO]
  check_memory "XSAVEC: nothing in use", TO+BV, 0
  check_memory "XSAVEC: XCOMP_BV", TO+COMP, r12d
  check_memory "XSAVEC: compacted", TO+COMP+4, 0x80000000
  check_memory "XSAVEC: MXCSR stays", TO+24, 0x22222222
  mov dword ptr [FROM], 0x1f81
  ldmxcsr [FROM]
  ask 0xe7
  xsavec64 [TO]
  check_memory "XSAVEC: MXCSR counts as SSE", TO+BV, 2
  check_memory "XSAVEC: MXCSR", TO+24, 0x1f81
  call load_pattern
  ask 0xe7
  xsavec64 [TO]
  check_memory "XSAVEC: all in use", TO+BV, r12d
  test r12d, 0x80
  jz 2f
  fill TO, 0x22
  ask 0xa1
  xsavec64 [TO]
  check_memory "XSAVEC of opmasks and ZMM16: XCOMP_BV", TO+COMP, 0xa1
  check_memory "XSAVEC: ZMM31 follows the opmasks", TO+576+64+1020, 0x11111111
  check_memory "XSAVEC: and is the last", TO+576+64+1024, 0x22222222
  kxorq k3, k3, k3
  vpxord xmm30, xmm30, xmm30
  ask 0xa1
  xrstor64 [TO]
  vmovd eax, xmm30
  check "XRSTOR compacted: ZMM30", eax, 0x11111111
  kmovd eax, k3
  check "XRSTOR compacted: k3", eax, 0x11111111
  ask 0xe7
  xsavec64 [TO]
2:
  call initialize
  ask 0xe7
  xrstor64 [TO]
  movd eax, xmm15
  check "XRSTOR compacted: XMM15", eax, 0x11111111
  # The compacted form initializes MXCSR with SSE.
  mov dword ptr [FROM], 0x1fa0
  ldmxcsr [FROM]
  mov dword ptr [TO + BV], 0
  ask 0xe7
  xrstor64 [TO]
  stmxcsr [FROM]
  check_memory "XRSTOR compacted: MXCSR initialized", FROM, 0x1f80
  mov dword ptr [TO + COMP], 1
  mov dword ptr [TO + BV], 2
  faults "XRSTOR: XSTATE_BV beyond XCOMP_BV is #GP(0)", V_GP, 0, xrstor64 [TO]
  mov dword ptr [TO + BV], 1
  mov dword ptr [TO + COMP], 9
  faults "XRSTOR: XCOMP_BV beyond XCR0 is #GP(0)", V_GP, 0, xrstor64 [TO]
  mov dword ptr [TO + COMP], 1
  mov dword ptr [TO + BV + 40], 1
  faults "XRSTOR: the compacted form looks at the whole header", V_GP, 0, xrstor64 [TO]
1:
  ret

supervisor:
  mov eax, 0xd
  mov ecx, 1
  cpuid
  bt eax, 3
  jnc 1f
  call load_pattern
  fill TO, 0x22
  ask 0xe7
  xsaves64 [TO]
  check_memory "XSAVES: XSTATE_BV", TO+BV, r12d
  check_memory "XSAVES: compacted", TO+COMP+4, 0x80000000
  ask 0xe7
  faults "XRSTORS of what XSAVES wrote", NONE, 0, xrstors64 [TO]
  faults "XRSTORS of the standard form is #GP(0)", V_GP, 0, xrstors64 [FROM]
  # Components that are not asked for are neither in the image nor touched; XCOMP_BV says which are.
  call load_pattern
  fill TO, 0x22
  ask 2
  xsaves64 [TO]
  check_memory "XSAVES of SSE: XSTATE_BV", TO+BV, 2
  check_memory "XSAVES of SSE: XCOMP_BV", TO+COMP, 2
  check_memory "XSAVES of SSE: FCW stays", TO, 0x22222222
  check_memory "XSAVES of SSE: XMM15", TO+160+15*16, 0x11111111
  call initialize
  ask 7
  xrstors64 [TO]
  movd eax, xmm15
  check "XRSTORS: XMM15", eax, 0x11111111
  call initialize
  fill TO, 0x22
  ask 7
  xsaves64 [TO]
  check_memory "XSAVES: nothing in use", TO+BV, 0
  check_memory "XSAVES: XMM0 stays", TO+160, 0x22222222
  ask 7
  mov dword ptr [TO + BV], 8
  faults "XRSTORS: XSTATE_BV beyond XCOMP_BV is #GP(0)", V_GP, 0, xrstors64 [TO]
  mov dword ptr [TO + COMP], 0x107
  mov dword ptr [TO + BV], 0
  faults "XRSTORS: XCOMP_BV beyond XCR0 and XSS is #GP(0)", V_GP, 0, xrstors64 [TO]
  mov dword ptr [TO + COMP], 3
  .irp place, 16, 40, 63
  mov byte ptr [TO + BV + \place], 1
  faults "XRSTORS: byte \place of the header is #GP(0)", V_GP, 0, xrstors64 [TO]
  mov byte ptr [TO + BV + \place], 0
  .endr
  faults "XRSTORS of a sound header", NONE, 0, xrstors64 [TO]
  faults "XRSTORS unaligned is #GP(0)", V_GP, 0, xrstors64 [TO+32]
  faults "XSAVES unaligned is #GP(0)", V_GP, 0, xsaves64 [TO+32]
  user_faults "XRSTORS at level 3 is #GP(0)", V_GP, 0, xrstors64 [TO]
  set_bits cr0, CR0_TS
  ask 7
  faults "XSAVES with TS is #NM", V_NM, 0, xsaves64 [TO]
  faults "XRSTORS with TS is #NM", V_NM, 0, xrstors64 [TO]
  clts
  clear_bits cr4, CR4_OSXSAVE
  faults "XSAVES without OSXSAVE is #UD", V_UD, 0, xsaves64 [TO]
  faults "XRSTORS without OSXSAVE is #UD", V_UD, 0, xrstors64 [TO]
  set_bits cr4, CR4_OSXSAVE
  ask 7
  user_faults "XSAVES at level 3 is #GP(0)", V_GP, 0, xsaves64 [TO]
  mov ecx, 0xda0
  rdmsr
  check "IA32_XSS is 0", eax, 0
  mov eax, 1
  xor edx, edx
  faults "IA32_XSS takes no bit", V_GP, 0, wrmsr
1:
  ret
