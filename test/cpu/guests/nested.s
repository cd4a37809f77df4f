# Loops that have always been left after as many turns, in a loop: the translator may run all of it as one piece. What
# is there when they are left sooner or later, or in their midst. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

.set FIRST, 0x400000            # frames, neighbours in linear memory only
.set SECOND, 0x402000
.set OFTEN, 60                  # makes a loop hot

use16
main:
  enter_long
  open_edge FIRST, SECOND
  call lengths
  call edges
  call faulting
  call own_code
  finish

# R9D turns of R10D turns and R11D turns, and what comes between them: their number in EAX, with EDX and R15.
nest:
  xor eax, eax
  xor edx, edx
  xor r15d, r15d
1:
  mov ecx, r10d
2:
  add eax, 1
  add r15, rax
  dec ecx
  jnz 2b
  add edx, eax
  mov ecx, r11d
3:
  add eax, 0x10000
  xor r15, rcx
  dec ecx
  jnz 3b
  sub edx, 1
  dec r9d
  jnz 1b
  ret

.macro nested name:req, times:req, first:req, second:req
  mov r9d, \times
  mov r10d, \first
  mov r11d, \second
  call nest
  check "\name", eax, (\times * (\first + \second * 0x10000))
  check "\name: in between", edx, (\times * (\times + 1) / 2 * \first + \times * (\times - 1) / 2 * \second * 0x10000 - \times)
.endm

lengths:
  nested "three turns and two", OFTEN, 3, 2
.irp first, 1, 2, 3, 4, 5, 9
  .irp second, 1, 2, 3, 7
  nested "other turns", 5, \first, \second
  .endr
.endr
  ret

# Quadwords from RSI on become their sums with RBX, three at a time.
add_up:
  mov ecx, 3
1:
  add [rsi], rbx
  add rsi, 8
  dec ecx
  jnz 1b
  add rbx, 1
  cmp rsi, r8
  jb add_up
  ret

# The second of three turns is the last on its page.
edges:
  mov r13d, OFTEN
1:
  mov esi, offset numbers
  lea r8, [rsi + 30 * 8]
  mov ebx, 1
  call add_up
  dec r13d
  jnz 1b
  check_memory "the first three", [numbers + 16], OFTEN
  check_memory "the last three", [numbers + 29 * 8], (OFTEN * 10)
  mov esi, EDGE - 16
  lea r8, [rsi + 24]
  mov qword ptr [rsi], 1
  mov qword ptr [rsi + 8], 2
  mov qword ptr [rsi + 16], 3
  mov ebx, 5
  call add_up
  check_memory "before the edge", [FIRST + 0xff8], 7
  check_memory "behind the edge", [SECOND], 8
  ret

# After the first turn of the inner loop at an address that is not canonical.
faulting:
  xor r14d, r14d
  mov ebx, 1
  mov r12, 0x8000000000000000
  arm 2f, add_to
1:
  mov esi, offset numbers
  mov ecx, 3
  mov ebp, 8
  cmp r14d, OFTEN
  cmove rbp, r12
add_to:
  add [rsi], rbx
  add rsi, rbp
  dec ecx
  jnz add_to
  add r14d, 1
  jmp 1b
2:
  fault_result "the inner loop is #GP", V_GP, 0
  check "faulting: ECX", ecx, 2
  check "faulting: times", r14d, OFTEN
  check_memory "faulting: added", [numbers], (OFTEN * 2 + 1)
  ret

# The outer loop changes the inner one's number of turns, and its code.
own_code:
  xor eax, eax
  mov r13d, OFTEN
1:
  mov ecx, 3
2:
  add eax, 1
  dec ecx
  jnz 2b
  cmp r13d, OFTEN / 2
  jne 3f
  mov byte ptr [2b + 2], 2
3:
  dec r13d
  jnz 1b
  check "its code changes", eax, ((OFTEN / 2 + 1) * 3 + (OFTEN / 2 - 1) * 6)
  ret

.balign 8
numbers:
  .fill 32, 8, 0
