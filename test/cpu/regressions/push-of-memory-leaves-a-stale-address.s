# A PUSH of memory that the interpreter executes, because its operand crosses pages, did not look up the page of the
# stack for the accesses behind it: translated code found what another block had left there.

.include "lib.inc"

.set FRAMES, 0x400000           # physical
.set PAGE, 0x40000000           # linear
.set PT, 0x110000
.set CROSSING, SCRATCH + 0xffc

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + 7
  mov dword ptr [PT], FRAMES + 7
  mov rax, cr3
  mov cr3, rax
  mov dword ptr [CROSSING], 5
  mov dword ptr [CROSSING + 4], 0
  mov rbp, rsp
  mov ebx, SCRATCH + 0x4000
  mov r13d, 40
again:
  mov [rbx], r13
  mov [rbx + 8], r13
  jmp 1f
1:
  mov esp, PAGE + 0x800
  mov esi, CROSSING
  push qword ptr [rsi]
  push r13
  pop rax
  pop rcx
  mov rsp, rbp
  sub eax, r13d
  or ecx, eax
  dec r13d
  jnz again
  check "the memory that was pushed", ecx, 5
  check_memory "what is on the stack below it", FRAMES + 0x7f0, 1
  finish
