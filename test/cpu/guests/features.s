# Instructions exist exactly where CPUID says so, whatever the processor model. 64-bit mode.
# SDM volume 2, "CPUID".

.include "lib.inc"

.set AREA, SCRATCH + 0x1000

# `code` works where the bit is set, and is #UD where it is not.
.macro offered name:req, leaf:req, subleaf:req, register:req, bit:req, code:vararg
  mov eax, \leaf
  mov ecx, \subleaf
  cpuid
  mov r8d, \register
  arm .Lafter\@, .Lat\@
.Lat\@:
  \code
.Lafter\@:
  mov dword ptr [resume], offset unexpected64
  mov esi, [last_vector]
  mov edi, NONE
  bt r8d, \bit
  jc .Lhere\@
  mov edi, V_UD
.Lhere\@:
  check "\name as CPUID says", esi, edi
.endm

# `code` leaves `new` in EAX (16 before, EBX 0) where the bit is set, and `old` where it is not.
.macro means name:req, leaf:req, register:req, bit:req, new:req, old:req, code:vararg
  mov eax, \leaf
  xor ecx, ecx
  cpuid
  mov r8d, \register
  mov eax, 0x10
  xor ebx, ebx
  \code
  mov edi, \new
  bt r8d, \bit
  jc .Lhere\@
  mov edi, \old
.Lhere\@:
  check "\name as CPUID says", eax, edi
.endm

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  call instructions
  call other_instructions
  call msrs
  finish

instructions:
  offered "SSE3", 1, 0, ecx, 0, haddps xmm1, xmm2
  offered "FISTTP", 1, 0, ecx, 0, fisttp dword ptr [AREA]
  offered "PCLMULQDQ", 1, 0, ecx, 1, pclmulqdq xmm1, xmm2, 0
  offered "SSSE3", 1, 0, ecx, 9, pabsb xmm1, xmm2
  offered "CMPXCHG16B", 1, 0, ecx, 13, cmpxchg16b [AREA]
  offered "SSE4.1", 1, 0, ecx, 19, pmulld xmm1, xmm2
  offered "SSE4.2", 1, 0, ecx, 20, pcmpgtq xmm1, xmm2
  offered "MOVBE", 1, 0, ecx, 22, movbe eax, [AREA]
  offered "POPCNT", 1, 0, ecx, 23, popcnt eax, ebx
  offered "AES", 1, 0, ecx, 25, aesenc xmm1, xmm2
  offered "RDRAND", 1, 0, ecx, 30, rdrand eax
  offered "RDSEED", 7, 0, ebx, 18, rdseed eax
  offered "ADX", 7, 0, ebx, 19, adcx eax, ebx
  offered "SMAP", 7, 0, ebx, 20, clac
  offered "CLFLUSHOPT", 7, 0, ebx, 23, clflushopt [AREA]
  offered "CLWB", 7, 0, ebx, 24, clwb [AREA]
  offered "SHA", 7, 0, ebx, 29, sha1nexte xmm1, xmm2
  offered "GFNI", 7, 0, ecx, 8, gf2p8mulb xmm1, xmm2
  offered "RDPID", 7, 0, ecx, 22, rdpid rax
  offered "RDTSCP", 0x80000001, 0, edx, 27, rdtscp
  ret

other_instructions:
  means "TZCNT or BSF", 7, ebx, 3, 4, 4, tzcnt eax, eax
  means "LZCNT or BSR", 0x80000001, ecx, 5, 27, 4, lzcnt eax, eax
  # A source of 0 tells TZCNT from BSF, which leaves the destination alone.
  means "TZCNT of 0", 7, ebx, 3, 32, 0x10, tzcnt eax, ebx
  ret

# The same for an MSR, which else is #GP(0).
.macro msr_offered name:req, leaf:req, register:req, bit:req, index:req
  mov eax, \leaf
  xor ecx, ecx
  cpuid
  mov r8d, \register
  mov ecx, \index
  arm .Lafter\@, .Lat\@
.Lat\@:
  rdmsr
.Lafter\@:
  mov dword ptr [resume], offset unexpected64
  mov esi, [last_vector]
  mov edi, NONE
  bt r8d, \bit
  jc .Lhere\@
  mov edi, V_GP
.Lhere\@:
  check "\name as CPUID says", esi, edi
.endm

msrs:
  msr_offered "IA32_TSC_ADJUST", 7, ebx, 1, 0x3b
  msr_offered "IA32_TSC_DEADLINE", 1, ecx, 24, 0x6e0
  msr_offered "IA32_ARCH_CAPABILITIES", 7, edx, 29, 0x10a
  ret
