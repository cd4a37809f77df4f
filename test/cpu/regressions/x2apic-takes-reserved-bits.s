# WRMSR of reserved bits of an x2APIC register is #GP(0); only a few of them were. SDM volume 3, "Reserved Bit Checking".

.include "lib.inc"

use16
main:
  enter_long
  write_msr 0x1b, 0xfee00d00
  mov ecx, 0x80f
  mov eax, 0x400
  xor edx, edx
  faults "SVR bit 10", V_GP, 0, wrmsr
  mov ecx, 0x832
  mov eax, 0x80010050
  faults "LVT timer bit 31", V_GP, 0, wrmsr
  mov ecx, 0x830
  mov eax, 0x41050
  faults "ICR bit 12", V_GP, 0, wrmsr
  finish
