# Where both operands of CMPS fault, ES:rDI's comes first, but for REPE CMPSB: as AMD Zen 4.
# DS:rSI is not canonical here (#GP), ES:rDI not mapped (#PF).

.include "lib.inc"

use16
main:
  enter_long
  mov rsi, 1
  shl rsi, 63
  mov rdi, 1
  shl rdi, 32
  mov ecx, 4
  faults "CMPSB", V_PF, 0, cmpsb
  faults "CMPSQ", V_PF, 0, cmpsq
  faults "REPNE CMPSB", V_PF, 0, repne cmpsb
  faults "REPE CMPSD", V_PF, 0, repe cmpsd
  faults "REPE CMPSB", V_GP, 0, repe cmpsb
  finish
