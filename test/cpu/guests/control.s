# What control registers and MSRs take and refuse, CPUID against what works, and the XSAVE family. 64-bit mode.
# SDM volume 3, "Control Registers"; volume 4; volume 1, "Managing State Using the XSAVE Feature Set".

.include "lib.inc"

.set IA32_PAT, 0x277
.set IA32_EFER, EFER
.set AREA, SCRATCH + 0x1000

use16
main:
  enter_long
  call cr0_rules
  call cr4_rules
  call cr3_rules
  call efer_rules
  call msr_rules
  call identification
  call fxsave
  call xsave
  finish

cr0_rules:
  mov rbx, cr0
  mov rax, rbx
  and eax, ~CR0_PE
  faults "CR0: PG without PE is #GP(0)", V_GP, 0, mov cr0, rax
  mov rax, rbx
  and eax, ~CR0_CD
  or eax, CR0_NW
  faults "CR0: NW without CD is #GP(0)", V_GP, 0, mov cr0, rax
  mov rax, rbx
  bts rax, 32
  faults "CR0: bit 32 is #GP(0)", V_GP, 0, mov cr0, rax
  mov rax, rbx
  btr rax, 31
  faults "CR0: paging off in 64-bit mode is #GP(0)", V_GP, 0, mov cr0, rax
  mov rax, rbx
  and eax, ~(1 << 4)
  mov cr0, rax
  mov rax, cr0
  and eax, 1 << 4
  check "CR0: ET stays", eax, 1<<4
  mov rax, rbx
  or eax, CR0_TS
  lmsw ax
  mov rax, cr0
  and eax, CR0_TS
  check "LMSW sets TS", eax, CR0_TS
  xor eax, eax
  lmsw ax
  mov rax, cr0
  and eax, CR0_TS+CR0_PE
  check "LMSW does not clear PE", eax, CR0_PE
  mov cr0, rbx
  ret

cr4_rules:
  mov rbx, cr4
  mov rax, rbx
  and eax, ~CR4_PAE
  faults "CR4: clearing PAE in long mode is #GP(0)", V_GP, 0, mov cr4, rax
  mov rax, rbx
  bts rax, 32
  faults "CR4: bit 32 is #GP(0)", V_GP, 0, mov cr4, rax
  mov rax, rbx
  bts rax, 15
  faults "CR4: bit 15 is #GP(0)", V_GP, 0, mov cr4, rax
  supervisor_pages
  # Each feature bit is taken exactly when CPUID has the feature.
  .macro feature_bit name, bit, leaf, register, number
  mov rbx, cr4
  mov eax, \leaf
  xor ecx, ecx
  cpuid
  mov r8d, \register
  mov rbx, cr4
  mov rax, rbx
  bts rax, \bit
  arm 1f, 2f
2:
  mov cr4, rax
1:
  mov dword ptr [resume], offset unexpected64
  mov cr4, rbx
  mov esi, [last_vector]
  mov edi, NONE
  bt r8d, \number
  jc 1f
  mov edi, V_GP
1:
  check "\name", esi, edi
  .endm
  feature_bit "CR4.FSGSBASE as CPUID says", 16, 7, ebx, 0
  feature_bit "CR4.SMEP as CPUID says", 20, 7, ebx, 7
  feature_bit "CR4.SMAP as CPUID says", 21, 7, ebx, 20
  feature_bit "CR4.UMIP as CPUID says", 11, 7, ecx, 2
  feature_bit "CR4.PKE as CPUID says", 22, 7, ecx, 3
  feature_bit "CR4.PCIDE as CPUID says", 17, 1, ecx, 17
  feature_bit "CR4.OSXSAVE as CPUID says", 18, 1, ecx, 26
  feature_bit "CR4.VMXE as CPUID says", 13, 1, ecx, 5
  feature_bit "CR4.SMXE as CPUID says", 14, 1, ecx, 6
  feature_bit "CR4.PGE as CPUID says", 7, 1, edx, 13
  feature_bit "CR4.VME as CPUID says", 0, 1, edx, 1
  or dword ptr [PML4 + 0x2000], 4
  mov rax, cr3
  mov cr3, rax
  ret

cr3_rules:
  mov rbx, cr3
  mov rax, rbx
  bts rax, 52
  faults "CR3: bit 52 is #GP(0)", V_GP, 0, mov cr3, rax
  mov rax, rbx
  or eax, 0x18
  mov cr3, rax
  mov rcx, cr3
  sub rcx, rbx
  check "CR3: PWT and PCD are kept", ecx, 0x18
  mov cr3, rbx
  ret

efer_rules:
  mov ecx, IA32_EFER
  rdmsr
  check "EFER", eax, EFER_LME+EFER_LMA+EFER_NXE+EFER_SCE
  mov r8d, eax
  and eax, ~EFER_LME
  faults "EFER: clearing LME with paging is #GP(0)", V_GP, 0, wrmsr
  mov eax, r8d
  or eax, 2
  faults "EFER: a reserved bit is #GP(0)", V_GP, 0, wrmsr
  mov eax, r8d
  and eax, ~EFER_LMA
  faults "EFER: LMA is not written", NONE, 0, wrmsr
  rdmsr
  check "EFER: LMA stays", eax, r8d
  ret

msr_rules:
  mov ecx, 0x12345678
  faults "RDMSR of none is #GP(0)", V_GP, 0, rdmsr
  faults "WRMSR of none is #GP(0)", V_GP, 0, wrmsr
  mov ecx, IA32_PAT
  rdmsr
  check "PAT after reset, low", eax, 0x00070406
  check "PAT after reset, high", edx, 0x00070406
  mov eax, 0x00070402
  faults "PAT type 2 is #GP(0)", V_GP, 0, wrmsr
  mov eax, 0x00070405
  faults "PAT type 5", NONE, 0, wrmsr
  mov rax, -1
  mov ecx, 0xc0000102
  mov edx, -1
  wrmsr
  xor eax, eax
  rdmsr
  check "RDMSR reads what WRMSR wrote", eax, -1
  mov rax, -1
  rdmsr
  mov rcx, rax
  check64 "RDMSR clears the upper half of RAX", rcx, 0xffffffff
  xor eax, eax
  xor edx, edx
  mov ecx, 0xc0000102
  wrmsr
  mov ecx, 0x10
  rdmsr
  mov r8d, eax
  rdtsc
  sub eax, r8d
  shr eax, 28
  check "RDTSC follows IA32_TIME_STAMP_COUNTER", eax, 0
  mov ecx, 0xc0000103
  mov eax, 0x1234
  xor edx, edx
  wrmsr
  rdtscp
  check "RDTSCP gives TSC_AUX", ecx, 0x1234
  mov ecx, 0x1b
  rdmsr
  or eax, 1
  faults "APIC base: a reserved bit is #GP(0)", V_GP, 0, wrmsr
  mov ecx, 0x174
  mov eax, 8
  xor edx, edx
  faults "SYSENTER_CS", NONE, 0, wrmsr
  ret

# The bit of a leaf, in EAX; EBX, ECX and EDX are lost.
.macro cpuid_bit leaf, register, number
  mov eax, \leaf
  xor ecx, ecx
  cpuid
  bt \register, \number
  setc al
  movzx eax, al
.endm

.macro works name, leaf, register, number, code:vararg
  cpuid_bit \leaf, \register, \number
  mov r8d, eax
  mov edi, SCRATCH
  arm 1f, 2f
2:
  \code
1:
  mov dword ptr [resume], offset unexpected64
  mov esi, [last_vector]
  mov edi, NONE
  test r8d, r8d
  jnz 1f
  mov edi, V_UD
1:
  check "\name", esi, edi
.endm

identification:
  set_bits cr4, CR4_OSFXSR+CR4_OSXMMEXCPT
  mov ebp, 2                                    # a type that INVPCID knows
  .macro has name, leaf, register, number
  cpuid_bit \leaf, \register, \number
  check "CPUID: \name", eax, 1
  .endm
  has "FPU", 1, edx, 0
  has "TSC", 1, edx, 4
  has "MSR", 1, edx, 5
  has "PAE", 1, edx, 6
  has "CX8", 1, edx, 8
  has "APIC", 1, edx, 9
  has "SEP", 1, edx, 11
  has "PGE", 1, edx, 13
  has "CMOV", 1, edx, 15
  has "PAT", 1, edx, 16
  has "FXSR", 1, edx, 24
  has "SSE2", 1, edx, 26
  has "SSE3", 1, ecx, 0
  has "SSSE3", 1, ecx, 9
  has "CX16", 1, ecx, 13
  has "SSE4.1", 1, ecx, 19
  has "SSE4.2", 1, ecx, 20
  has "POPCNT", 1, ecx, 23
  has "SYSCALL", 0x80000001, edx, 11
  has "NX", 0x80000001, edx, 20
  has "LM", 0x80000001, edx, 29
  has "LAHF in 64-bit mode", 0x80000001, ecx, 0
  works "MOVBE", 1, ecx, 22, movbe eax, [rdi]
  works "RDRAND", 1, ecx, 30, rdrand eax
  works "PCLMULQDQ", 1, ecx, 1, pclmulqdq xmm0, xmm1, 0
  works "AES", 1, ecx, 25, aesenc xmm0, xmm1
  works "RDTSCP", 0x80000001, edx, 27, rdtscp
  works "ADX", 7, ebx, 19, adcx eax, ecx
  works "RDSEED", 7, ebx, 18, rdseed eax
  works "SHA", 7, ebx, 29, sha1msg1 xmm0, xmm1
  works "INVPCID", 7, ebx, 10, invpcid rbp, [invpcid_all]
  works "CLAC", 7, ebx, 20, clac
  works "MONITOR", 1, ecx, 3, monitor
  cpuid_bit 1, ecx, 27
  check "CPUID: OSXSAVE follows CR4, clear", eax, 0
  set_bits cr4, CR4_OSXSAVE
  cpuid_bit 1, ecx, 27
  check "CPUID: OSXSAVE follows CR4, set", eax, 1
  ret

fxsave:
  fninit
  fld1
  fldpi
  mov eax, 0x12345678
  movd xmm5, eax
  mov eax, 0x1fa0
  mov [SCRATCH], eax
  ldmxcsr [SCRATCH]
  fxsave [AREA]
  movzx eax, word ptr [AREA]
  check "FXSAVE: FCW", eax, 0x37f
  movzx eax, word ptr [AREA + 2]
  check "FXSAVE: FSW with TOP 6", eax, 0x3000
  movzx eax, byte ptr [AREA + 4]
  check "FXSAVE: abridged tags", eax, 0xc0
  check_memory "FXSAVE: MXCSR", AREA+24, 0x1fa0
  check_memory "FXSAVE: XMM5", AREA+160+5*16, 0x12345678
  movzx eax, word ptr [AREA + 32 + 16 + 8]
  check "FXSAVE: ST1 is 1.0", eax, 0x3fff
  fninit
  pxor xmm5, xmm5
  fxrstor [AREA]
  movd eax, xmm5
  check "FXRSTOR: XMM5", eax, 0x12345678
  fnstsw ax
  and eax, 0x3800
  check "FXRSTOR: TOP", eax, 0x3000
  fstp st(0)
  fistp dword ptr [SCRATCH]
  check_memory "FXRSTOR: ST1", SCRATCH, 1
  mov dword ptr [AREA + 24], 0x10000
  faults "FXRSTOR: a reserved bit of MXCSR is #GP(0)", V_GP, 0, fxrstor [AREA]
  mov dword ptr [AREA + 24], 0x1f80
  fxrstor [AREA]
  ret

xsave:
  xor ecx, ecx
  xgetbv
  check "XCR0 after reset", eax, 1
  mov eax, 3
  xor edx, edx
  faults "XSETBV x87 and SSE", NONE, 0, xsetbv
  mov eax, 2
  faults "XSETBV without x87 is #GP(0)", V_GP, 0, xsetbv
  mov eax, 5
  faults "XSETBV of AVX without SSE is #GP(0)", V_GP, 0, xsetbv
  mov edx, 0x80000000
  mov eax, 3
  faults "XSETBV of bit 63 is #GP(0)", V_GP, 0, xsetbv
  xor edx, edx
  mov ecx, 1
  faults "XSETBV of XCR1 is #GP(0)", V_GP, 0, xsetbv
  xor ecx, ecx
  user_faults "user XSETBV is #GP(0)", V_GP, 0, xsetbv
  user_faults "user XGETBV", SYSTEM_CALL, 0, xgetbv
  mov eax, 13
  xor ecx, ecx
  cpuid
  check "CPUID 13: size for XCR0 of 3", ebx, 576
  # A fresh area: XSTATE_BV tells what was not in its initial state.
  cld
  mov edi, AREA
  xor eax, eax
  mov ecx, 160
  rep stosd
  fninit
  mov eax, 0x5555
  movd xmm3, eax
  mov eax, 3
  xor edx, edx
  xsave [AREA]
  mov eax, [AREA + 512]
  and eax, 2
  check "XSAVE: XSTATE_BV has SSE", eax, 2
  check_memory "XSAVE: XMM3", AREA+160+3*16, 0x5555
  mov dword ptr [AREA + 512], 0
  mov eax, 3
  xrstor [AREA]
  movd eax, xmm3
  check "XRSTOR of a clear XSTATE_BV bit initialises", eax, 0
  mov dword ptr [AREA + 512], 2
  mov eax, 1
  xrstor [AREA]
  movd eax, xmm3
  check "XRSTOR leaves what is not asked for", eax, 0
  mov eax, 2
  xrstor [AREA]
  movd eax, xmm3
  check "XRSTOR of SSE", eax, 0x5555
  mov dword ptr [AREA + 512], 8
  mov eax, 3
  faults "XRSTOR of a bit that XCR0 lacks is #GP(0)", V_GP, 0, xrstor [AREA]
  mov dword ptr [AREA + 512], 3
  mov dword ptr [AREA + 528], 1
  faults "XRSTOR of a reserved header byte is #GP(0)", V_GP, 0, xrstor [AREA]
  mov dword ptr [AREA + 528], 0
  faults "XSAVE unaligned is #GP(0)", V_GP, 0, xsave [AREA+16]
  set_bits cr0, CR0_TS
  faults "XSAVE with TS is #NM", V_NM, 0, xsave [AREA]
  clts
  ret

.data
invpcid_all: .quad 0, 0
