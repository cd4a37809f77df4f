# The limit of CS was checked where a block of instructions began, so that a straight line ran on beyond it, and an
# instruction could lie across it. SDM volume 3, "Limit Checking".

.include "lib.inc"

.set LIMITED, FREE

use16
main:
  enter_protected
  descriptor LIMITED, SCRATCH, 0xf, 0x9b, 4
  cld
  mov edi, SCRATCH
  mov ecx, 32
  mov al, 0x90
  rep stosb
  mov word ptr [SCRATCH + 31], 0x0b0f
  arm 1f, 16
  jump_far LIMITED, 0
1:
  fault_result "a straight line", V_GP, 0
  mov byte ptr [SCRATCH + 15], 0xb0             # MOV AL, imm8
  arm 1f, 15
  jump_far LIMITED, 0
1:
  fault_result "an instruction across the limit", V_GP, 0
  finish
