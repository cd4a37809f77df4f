# What AVX instructions depend on: CR4.OSXSAVE, XCR0, CR0.TS, and MXCSR as SSE does. 64-bit mode.
# SDM volume 2, "Exceptions Type 2" and "Exceptions Type 8".

.include "lib.inc"

.set AREA, SCRATCH + 0x1000

use16
main:
  enter_long
  mov eax, 1
  cpuid
  mov r12d, ecx
  bt ecx, 28
  jnc none
  set_bits cr4, CR4_OSFXSR
  call enabling
  call exceptions
  call upper_halves
  call loop_of_halves
none:
  check "the end", r12d, r12d
  finish

# XCR0 = `components`
.macro components value
  mov eax, \value
  xor edx, edx
  xor ecx, ecx
  xsetbv
.endm

enabling:
  faults "without OSXSAVE VADDPS is #UD", V_UD, 0, vaddps xmm1, xmm2, xmm3
  faults "without OSXSAVE VZEROUPPER is #UD", V_UD, 0, vzeroupper
  set_bits cr4, CR4_OSXSAVE
  faults "with XCR0 = 1 VADDPS is #UD", V_UD, 0, vaddps xmm1, xmm2, xmm3
  components 3
  faults "with XCR0 = 3 VADDPS is #UD", V_UD, 0, vaddps xmm1, xmm2, xmm3
  components 7
  faults "with XCR0 = 7 VADDPS", NONE, 0, vaddps xmm1, xmm2, xmm3
  set_bits cr0, CR0_TS
  faults "with TS VADDPS is #NM", V_NM, 0, vaddps xmm1, xmm2, xmm3
  faults "with TS VMASKMOVPS is #NM", V_NM, 0, vmaskmovps [AREA], xmm1, xmm2
  components 3
  faults "with TS and XCR0 = 3 VADDPS is #UD", V_UD, 0, vaddps xmm1, xmm2, xmm3
  components 7
  clts
  set_bits cr0, CR0_EM
  faults "EM is not asked", NONE, 0, vaddps xmm1, xmm2, xmm3
  clear_bits cr0, CR0_EM
  clear_bits cr4, CR4_OSFXSR
  faults "OSFXSR is not asked", NONE, 0, vaddps xmm1, xmm2, xmm3
  set_bits cr4, CR4_OSFXSR
  faults "VMOVAPS of 32 bytes wants 32", V_GP, 0, vmovaps ymm1, [AREA + 16]
  faults "VMOVUPS does not", NONE, 0, vmovups ymm1, [AREA + 16]
  faults "nor does VADDPS", NONE, 0, vaddps ymm1, ymm2, [AREA + 1]
  ret

exceptions:
  vxorps xmm1, xmm1, xmm1
  mov eax, 0x3f800000
  vmovd xmm2, eax
  mov dword ptr [AREA], 0x1d80                  # division by zero unmasked
  vldmxcsr [AREA]
  faults "1 / 0 without OSXMMEXCPT is #UD", V_UD, 0, vdivss xmm2, xmm2, xmm1
  set_bits cr4, CR4_OSXMMEXCPT
  faults "1 / 0 is #XM", V_XM, 0, vdivss xmm2, xmm2, xmm1
  vmovd eax, xmm2
  check "#XM leaves the destination", eax, 0x3f800000
  vstmxcsr [AREA]
  check_memory "#XM sets ZE", AREA, 0x1d84
  mov dword ptr [AREA], 0x1f80
  vldmxcsr [AREA]
  ret

# What is there of XMM1 in bits 128 and up.
.macro upper_is name, want
  vextractf128 xmm7, ymm1, 1
  vmovd eax, xmm7
  check "\name", eax, \want
.endm

.macro fill_upper
  mov eax, 0x12345678
  vmovd xmm1, eax
  vinsertf128 ymm1, ymm1, xmm1, 1
.endm

upper_halves:
  fill_upper
  upper_is "VINSERTF128", 0x12345678
  addps xmm1, xmm2
  upper_is "ADDPS keeps the upper half", 0x12345678
  movaps xmm1, xmm2
  upper_is "MOVAPS keeps the upper half", 0x12345678
  vmovaps xmm1, xmm2
  upper_is "VMOVAPS clears it", 0
  fill_upper
  vzeroupper
  upper_is "VZEROUPPER clears it", 0
  vmovd eax, xmm1
  check "VZEROUPPER keeps the lower half", eax, 0x12345678
  fill_upper
  vzeroall
  vmovd eax, xmm1
  check "VZEROALL clears both", eax, 0
  ret

# What reads the flags has to ask C++ for them, in the middle of a loop that has its registers on the host.
loop_of_halves:
  vpcmpeqd ymm4, ymm4, ymm4
  vpxor ymm1, ymm1, ymm1
  mov dword ptr [AREA], 100
1:
  vpsubd ymm1, ymm1, ymm4
  vpsubd ymm2, ymm1, ymm4
  dec dword ptr [AREA]
  mov eax, [AREA + 4]
  jnz 1b
  upper_is "an upper half counts in a loop", 100
  vmovd eax, xmm1
  check "the lower half, too", eax, 100
  vextractf128 xmm7, ymm2, 1
  vmovd eax, xmm7
  check "another upper half", eax, 101
  ret
