# A TSC deadline above 2^63 was taken for one in the past. SDM volume 3, "TSC-Deadline Mode".

.include "lib.inc"
.include "apic.inc"

use16
main:
  enter_long
  apic SVR, 0x1ff
  apic LVT_TIMER, 0x40050
  mfence
  write_msr IA32_TSC_DEADLINE, 0, -1
  nop
  rdmsr
  check "the deadline is still there", edx, -1
  read_apic IRR+0x20
  check "no interrupt is pending", eax, 0
  finish
