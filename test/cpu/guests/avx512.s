# AVX-512: what it depends on, encodings that are #UD, and what VEX instructions leave of ZMM registers.
# SDM volume 2, "Exception Classifications of EVEX-Encoded Instructions" and "#UD Equations for EVEX".

.include "lib.inc"

.set AREA, SCRATCH + 0x1000

use16
main:
  enter_protected
  mov dword ptr [AREA], 1
  mov dword ptr [AREA + 4], 9
  mov ebx, 5
  bound ebx, [AREA]
  check "62 with a memory operand is BOUND", ebx, 5
  enter_long
  mov eax, 7
  xor ecx, ecx
  cpuid
  mov r12d, ebx
  bt ebx, 16
  jnc none
  set_bits cr4, CR4_OSFXSR
  call enabling
  bt r12d, 31
  jnc none
  bt r12d, 30
  jnc none
  call encodings
  call masks
  call upper_halves
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
  faults "without OSXSAVE VADDPS is #UD", V_UD, 0, vaddps zmm1, zmm2, zmm3
  set_bits cr4, CR4_OSXSAVE
  components 7
  faults "with XCR0 = 7 VADDPS of ZMM is #UD", V_UD, 0, vaddps zmm1, zmm2, zmm3
  faults "with XCR0 = 7 VADDPS of XMM16 is #UD", V_UD, 0, vaddps xmm16, xmm2, xmm3
  faults "with XCR0 = 7 KNOTW is #UD", V_UD, 0, knotw k1, k2
  faults "with XCR0 = 7 VADDPS of YMM", NONE, 0, vaddps ymm1, ymm2, ymm3
  components 0xe7
  faults "with XCR0 = E7H VADDPS of ZMM", NONE, 0, vaddps zmm1, zmm2, zmm3
  faults "with XCR0 = E7H KNOTW", NONE, 0, knotw k1, k2
  set_bits cr0, CR0_TS
  faults "with TS VADDPS is #NM", V_NM, 0, vaddps zmm1, zmm2, zmm3
  faults "with TS KNOTW is #NM", V_NM, 0, knotw k1, k2
  clts
  faults "VMOVAPS of 64 bytes wants 64", V_GP, 0, vmovaps zmm1, [AREA + 32]
  faults "VMOVUPS does not", NONE, 0, vmovups zmm1, [AREA + 32]
  ret

encodings:
  faults "VADDPS", NONE, 0, .byte 0x62, 0xf1, 0x6c, 0x48, 0x58, 0xcb
  faults "a prefix before EVEX is #UD", V_UD, 0, .byte 0x66, 0x62, 0xf1, 0x6c, 0x48, 0x58, 0xcb
  faults "z without a mask is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6c, 0xc8, 0x58, 0xcb
  faults "z of a store is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x7c, 0xc9, 0x11, 0x0c, 0x25, 0, 0, 0, 0
  faults "z of a comparison is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6d, 0xc9, 0x76, 0xcb
  faults "L'L = 3 is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6c, 0x68, 0x58, 0xcb
  faults "but with b it rounds to zero", NONE, 0, .byte 0x62, 0xf1, 0x6c, 0x78, 0x58, 0xcb
  faults "b on registers of VPADDD is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6d, 0x58, 0xfe, 0xcb
  faults "EVEX.vvvv that names nothing is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6c, 0x48, 0x10, 0xcb
  faults "so is V'", V_UD, 0, .byte 0x62, 0xf1, 0x7c, 0x40, 0x10, 0xcb
  faults "map 0 is #UD", V_UD, 0, .byte 0x62, 0xf0, 0x6c, 0x48, 0x58, 0xcb
  faults "a mask of VPSADBW is #UD", V_UD, 0, .byte 0x62, 0xf1, 0x6d, 0x49, 0xf6, 0xcb
  faults "k9 is #UD", V_UD, 0, .byte 0x62, 0x71, 0x6d, 0x48, 0x76, 0xcb
  faults "and k17", V_UD, 0, .byte 0x62, 0xe1, 0x6d, 0x48, 0x76, 0xcb
  faults "and k9 of a VEX prefix", V_UD, 0, .byte 0xc5, 0x78, 0x44, 0xca
  faults "and in VEX.vvvv", V_UD, 0, .byte 0xc5, 0xb4, 0x41, 0xcb
  faults "VPGATHERDD without a mask is #UD", V_UD, 0, .byte 0x62, 0xf2, 0x7d, 0x48, 0x90, 0x04, 0x08
  kxnorw k1, k1, k1
  faults "VPGATHERDD to its index is #UD", V_UD, 0, .byte 0x62, 0xf2, 0x7d, 0x49, 0x90, 0x0c, 0x08
  ret

# What is masked off is not accessed: nothing is mapped from 4 GiB on (SDM volume 2, "Memory Fault Suppression").
masks:
  movabs rsi, 0x100000000
  kxorw k1, k1, k1
  faults "a load that is masked off", NONE, 0, vmovdqu32 zmm1{k1}, [rsi]
  faults "a store that is masked off", NONE, 0, vmovdqu32 [rsi]{k1}, zmm1
  faults "a broadcast that is masked off", NONE, 0, vpaddd zmm1{k1}, zmm1, dword ptr [rsi]{1to16}
  mov eax, 2
  kmovw k1, eax
  faults "an element that is not is #PF", V_PF, 0, vmovdqu32 zmm1{k1}, [rsi]
  faults "VPERMD reads all of it", V_PF, 0, vpermd zmm1{k1}, zmm1, [rsi]
  ret

.macro zmm_upper_is name, want
  vextracti64x4 ymm7, zmm1, 1
  vmovd eax, xmm7
  check "\name", eax, \want
.endm

.macro fill_zmm
  mov eax, 0x12345678
  vpbroadcastd zmm1, eax
.endm

upper_halves:
  fill_zmm
  zmm_upper_is "VPBROADCASTD", 0x12345678
  addps xmm1, xmm2
  zmm_upper_is "ADDPS keeps the upper half", 0x12345678
  vaddps ymm1, ymm2, ymm3
  zmm_upper_is "VADDPS of YMM clears it", 0
  fill_zmm
  vmovaps ymm1, ymm1
  zmm_upper_is "VMOVAPS of YMM clears it", 0
  fill_zmm
  vpcmpeqd ymm2, ymm2, ymm2
  vpmaskmovd ymm1, ymm2, [AREA]
  zmm_upper_is "VPMASKMOVD clears it", 0
  fill_zmm
  vzeroupper
  zmm_upper_is "VZEROUPPER clears it", 0
  fill_zmm
  vmovdqa32 zmm17, zmm1
  vzeroall
  zmm_upper_is "VZEROALL clears it", 0
  vmovd eax, xmm17
  check "VZEROALL keeps ZMM17", eax, 0x12345678
  fill_zmm
  vpaddd xmm1, xmm1, xmm16
  zmm_upper_is "VPADDD (EVEX) of XMM clears it", 0
  ret
