# Accesses of hot code that go to the page that they went to last, again and again, and then to another one: by pointers
# that wander, in pages that are mapped elsewhere, lose rights and come back. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

.set FIRST, 0x400000            # frames, neighbours in linear memory only
.set SECOND, 0x402000
.set OFTEN, 60                  # makes code hot

use16
main:
  enter_long
  set_bits cr0, CR0_WP
  open_edge FIRST, SECOND
  mov qword ptr [FIRST + 0x10], 3
  mov qword ptr [FIRST + 0x18], 0x10
  mov qword ptr [SECOND + 0x10], 4
  mov qword ptr [SECOND + 0x18], 0x20
  call still
  call wandering
  call elsewhere
  call ends
  call rights
  finish

# EBP turns: the quadword at RSI, odd ones in R12, even ones in R13, and R14 counts what is behind them. RSI is combined
# with RDX each time. The loop within keeps the rest from being one.
walk:
  xor r12d, r12d
  xor r13d, r13d
  xor r14d, r14d
1:
  mov ecx, 3
2:
  dec ecx
  jnz 2b
at_walk:
  mov rax, [rsi]
  add r14, [rsi + 8]
  test al, 1
  jz 3f
  add r12, rax
  jmp 4f
3:
  add r13, rax
4:
  xor rsi, rdx
  dec ebp
  jnz 1b
  ret

# The same in a loop, storing R14 at RDI.
loop_over:
  xor r12d, r12d
  xor r14d, r14d
1:
  add r12, [rsi]
  add r14, [rsi + 8]
at_store:
  mov [rdi], r14
  xor rsi, rdx
  dec ebp
  jnz 1b
  ret

.macro walks name, from, mask, odd, even, behind, turns=OFTEN
  mov esi, \from
  mov edx, \mask
  mov ebp, \turns
  call walk
  check "\name: odd", r12d, \odd
  check "\name: even", r13d, \even
  check "\name: behind", r14d, \behind
.endm

.macro loops name, from, mask, sum, behind, turns=OFTEN
  mov esi, \from
  mov edi, NAME + 0x800
  mov edx, \mask
  mov ebp, \turns
  call loop_over
  check "\name: loop", r12d, \sum
  check "\name: loop, behind", r14d, \behind
  check_memory "\name: stored", NAME + 0x800, \behind
.endm

still:
  walks "one page", NAME+0x10, 0, OFTEN*3, 0, OFTEN*0x10
  loops "one page", NAME+0x10, 0, OFTEN*3, OFTEN*0x10
  walks "one page again", NAME+0x10, 0, OFTEN*3, 0, OFTEN*0x10
  ret

wandering:
  walks "the other page", EDGE+0x10, 0, 0, OFTEN*4, OFTEN*0x20
  walks "two pages", NAME+0x10, 0x1000, OFTEN*3/2, OFTEN*4/2, OFTEN*0x18
  loops "two pages", NAME+0x10, 0x1000, OFTEN*7/2, OFTEN*0x18
  walks "two pages again", EDGE+0x10, 0x1000, OFTEN*3/2, OFTEN*4/2, OFTEN*0x18
  ret

# Another frame at each call.
elsewhere:
  mov ebx, OFTEN
1:
  map_anew NAME, SECOND
  walks "mapped to the second", NAME+0x10, 0, 0, 5*4, 5*0x20, 5
  loops "mapped to the second", NAME+0x10, 0, 5*4, 5*0x20, 5
  map_anew NAME, FIRST
  walks "mapped to the first", NAME+0x10, 0, 5*3, 0, 5*0x10, 5
  loops "mapped to the first", NAME+0x10, 0, 5*3, 5*0x10, 5
  dec ebx
  jnz 1b
  ret

# On both pages, each by itself and in one access.
ends:
  mov dword ptr [FIRST + 0xff8], 1
  mov dword ptr [FIRST + 0xffc], 0
  mov dword ptr [SECOND], 2
  mov dword ptr [SECOND + 4], 0
  walks "the second behind the edge", EDGE-8, 0, OFTEN, 0, OFTEN*2
  mov dword ptr [FIRST + 0xffc], 5
  mov dword ptr [SECOND + 4], 7
  walks "both across the edge", EDGE-4, 0, OFTEN*5, 0, OFTEN*7
  loops "both across the edge", EDGE-4, 0, OFTEN*5, OFTEN*7
  walks "back on one page", NAME+0x10, 0, OFTEN*3, 0, OFTEN*0x10
  ret

.macro faults_then_not name, error, at, entry, code:vararg
  mov dword ptr [PT + 8], \entry
  invlpg [EDGE]
  mov edi, EDGE + 0x800
  mov esi, EDGE + 0x10
  xor edx, edx
  mov ebp, 9
  arm 1f, \at
  \code
1:
  fault_result "\name", V_PF, \error
  check "\name: turns left", ebp, 9
  map_anew EDGE, SECOND
.endm

rights:
  walks "a page that goes", EDGE+0x10, 0, 0, OFTEN*4, OFTEN*0x20
  mov edi, EDGE + 0x800
  mov esi, EDGE + 0x10
  xor edx, edx
  mov ebp, OFTEN
  call loop_over
  faults_then_not "absent", 0, at_walk, 0, jmp walk
  faults_then_not "read only", 3, at_store, SECOND+5, jmp loop_over
  walks "it has come back", EDGE+0x10, 0, 0, OFTEN*4, OFTEN*0x20
  ret
