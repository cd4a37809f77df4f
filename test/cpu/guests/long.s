.include "lib.inc"
use16
main:
  enter_long
  faults "ud2", V_UD, 0, ud2
  faults "non-canonical load", V_GP, 0, mov rax, [rbx]
  user_faults "user hlt", V_GP, 0, hlt
  finish
