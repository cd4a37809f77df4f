# C4 and C5 where they are LES and LDS as well: 32-bit protected mode.
# SDM volume 2, "The VEX Prefix".

.include "lib.inc"

.set AREA, SCRATCH + 0x1000

use16
main:
  enter_protected
  mov dword ptr [AREA], 0x11223344
  mov word ptr [AREA + 4], USER_DATA
  les ecx, [AREA]
  check "C4 with a memory operand is LES", ecx, 0x11223344
  lds ecx, [AREA]
  check "C5 with a memory operand is LDS", ecx, 0x11223344
  mov eax, 7
  xor ecx, ecx
  cpuid
  bt ebx, 3
  jnc none
  mov ebx, 0xf0
  mov ecx, 0xff
  andn eax, ebx, ecx
  check "ANDN", eax, 0x0f
  mov eax, 0
  .byte 0xc4, 0xe2, 0xe0, 0xf2, 0xc1            # andn eax, ebx, ecx
  check "VEX.W is ignored", eax, 0x0f
  faults "a prefix before VEX is #UD", V_UD, 0, .byte 0x66, 0xc4, 0xe2, 0x60, 0xf2, 0xc1
  faults "VEX.L = 1 is #UD", V_UD, 0, .byte 0xc4, 0xe2, 0x64, 0xf2, 0xc1
  faults "VEX.vvvv that names nothing is #UD", V_UD, 0, .byte 0xc4, 0xe3, 0x63, 0xf0, 0xc1, 0x01
none:
  finish
