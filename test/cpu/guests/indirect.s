# Loops through indirect branches, which lead to one place long enough for the translator to take them into the
# loop, and then elsewhere. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

.set TARGET, 0x400000           # the pointer that is called
.set STACK, EDGE                # the first page of another stack, a page that may go below it
.set TIMES, 100
.set CHANGE, 30                 # turns left when it leads elsewhere

use16
main:
  enter_long
  open_edge 0x404000, 0x406000
  call by_register
  call by_memory
  call by_jump
  call nested
  call returns_elsewhere
  call without_target
  call without_stack
  finish

add_one:
  add eax, 1
  ret
add_hundred:
  add eax, 100
  ret

.macro turns name:req, branch:vararg
  xor eax, eax
  mov ecx, TIMES
  mov ebx, offset add_one
  mov qword ptr [TARGET], offset add_one
  mov edx, offset add_hundred
1:
  cmp ecx, CHANGE
  cmovbe ebx, edx
  jne 2f
  mov [TARGET], rdx
2:
  \branch
  dec ecx
  jnz 1b
  check "\name", eax, TIMES-CHANGE+100*CHANGE
.endm

by_register:
  turns "calls by a register", call rbx
  ret

by_memory:
  turns "calls by memory", call [TARGET]
  ret

back:
  jmp rsi

by_jump:
  xor eax, eax
  mov ecx, TIMES
  mov esi, offset 2f
1:
  jmp back
2:
  add eax, 1
  cmp ecx, CHANGE
  ja 4f
  mov esi, offset 3f
  jmp 4f
3:
  add eax, 100
4:
  dec ecx
  jnz 1b
  check "jumps", eax, TIMES-CHANGE+1+100*(CHANGE-1)
  ret

# What is called calls by the same pointer, the other one's address in its place.
outer:
  push rbx
  mov ebx, offset add_one
  cmp ecx, CHANGE
  ja 1f
  mov ebx, offset add_hundred
1:
  call rbx
  pop rbx
  ret

nested:
  xor eax, eax
  mov ecx, TIMES
  mov ebx, offset outer
1:
  call rbx
  dec ecx
  jnz 1b
  check "a call in a call", eax, TIMES-CHANGE+100*CHANGE
  sub ebx, offset outer
  check "a call in a call: RBX", ebx, 0
  ret

skips:
  add eax, 1
  cmp ecx, CHANGE
  jne 1f
  add qword ptr [rsp], 2        # over the INC
1:
  ret

returns_elsewhere:
  xor eax, eax
  xor edx, edx
  mov ecx, TIMES
  mov ebx, offset skips
1:
  call rbx
  inc edx
  dec ecx
  jnz 1b
  check "a return that is not to its call", eax, TIMES
  check "what it went past", edx, TIMES-1
  ret

without_target:
  xor eax, eax
  mov ecx, TIMES
  mov ebx, TARGET
  mov rdx, 0x8000000000000000
  mov qword ptr [TARGET], offset add_one
  arm 2f, loads_target
1:
  cmp ecx, CHANGE
  cmove rbx, rdx
loads_target:
  call [rbx]
  dec ecx
  jnz 1b
2:
  fault_result "a pointer that is not there", V_GP, 0
  check "a pointer that is not there: RAX", eax, TIMES-CHANGE
  check "a pointer that is not there: RCX", ecx, CHANGE
  ret

without_stack:
  use_ist1 V_PF
  mov rbp, rsp
  xor eax, eax
  mov ecx, TIMES
  mov ebx, offset add_one
  mov edi, STACK + 0x800
  mov rsp, rdi
  arm 2f, pushes
1:
  cmp ecx, CHANGE
  jne pushes
  mov qword ptr [PT], 0
  invlpg [NAME]
  mov rsp, STACK
pushes:
  call rbx
  dec ecx
  jnz 1b
2:
  mov rdx, rsp
  mov rsp, rbp
  fault_result "a push that is not possible", V_PF, 2
  check "a push that is not possible: RAX", eax, TIMES-CHANGE
  check "a push that is not possible: RCX", ecx, CHANGE
  ret
