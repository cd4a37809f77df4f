# Calls functions until what they return has been changed from outside: one in a page of its own, one whose instruction lies
# across two pages. 64-bit mode. See dma.test.ts.

.include "lib.inc"

.set FUNCTION, 0x400000
.set CROSSING, 0x500ffd

use16
main:
  enter_long
  mov dword ptr [FUNCTION], 0x000001b8          # MOV EAX, 1; RET
  mov word ptr [FUNCTION + 4], 0xc300
  mov dword ptr [CROSSING], 0x000001b8
  mov word ptr [CROSSING + 4], 0xc300
  mov esi, FUNCTION
  mov edi, CROSSING
1:
  call rsi
  mov ebx, eax
  call rdi
  cmp eax, 1
  je 1b
  cmp ebx, 1
  je 1b
  check "code of one page", ebx, 0x22222201
  check "the tail of an instruction in another page", eax, 0x33000001
  finish
