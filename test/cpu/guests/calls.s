# Loops with calls to other pages, which the translator may run as one piece: how they come back, and how they
# are left in between. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  open_frames
  mov rax, cr3
  mov cr3, rax
  call comes_back
  call takes_arguments_away
  call returns_elsewhere
  call leaves_two_calls
  call recursion
  call faults_in_a_call
  call interpreted_in_a_call
  call other_pages_in_turns
  call changes_what_is_called
  call unmaps_what_is_called
  finish

# Flags, a vector register and memory behind RIP live on over call and return.
comes_back:
  pcmpeqd xmm4, xmm4
  pxor xmm0, xmm0
  mov ecx, 300
  xor edx, edx
1:
  psubd xmm0, xmm4
  cmp ecx, 100
  call keeps_flags
  ja 2f
  inc edx
2:
  dec ecx
  jnz 1b
  check "flags of before the call", edx, 100
  movd eax, xmm0
  check "a vector register that caller and callee change", eax, 600
  check_memory "what the callee counts", counted, 300
  ret

takes_arguments_away:
  mov ecx, 300
  xor edx, edx
  mov rbx, rsp
1:
  push rcx
  push 5
  call adds_arguments
  add edx, eax
  dec ecx
  jnz 1b
  check "arguments", edx, 300*301/2 + 5*300
  sub rbx, rsp
  check "the stack is as before", ebx, 0
  ret

# Each seventh return skips an instruction.
returns_elsewhere:
  mov ecx, 700
  xor edx, edx
  xor edi, edi
  mov rbx, rsp
1:
  call skips
  inc edx                       # two bytes
  dec ecx
  jnz 1b
  check "returns that were changed on the stack", edx, 600
  sub rbx, rsp
  check "the stack is balanced", ebx, 0
  ret

# Out of two calls at once, by a jump, or by both returns.
leaves_two_calls:
  mov ecx, 300
  xor edx, edx
  mov rbx, rsp
1:
  call outer
  inc edx
out_of_two_calls:
  dec ecx
  jnz 1b
  check "calls that come back", edx, 225
  ret

recursion:
  mov edi, 16
  call fibonacci
  check "a recursive function", eax, 987
  ret

# In the 200th round the callee's page is not readable any more where it looks.
faults_in_a_call:
  mov ecx, 300
  mov esi, SCRATCH
  arm 2f, loads
1:
  cmp ecx, 100
  call loads_from_rsi
  dec ecx
  jnz 1b
2:
  fault_result "a fault in a callee", V_PF, 0
  check "its round", ecx, 100
  ret

interpreted_in_a_call:
  mov ecx, 300
  xor edx, edx
  mov ebx, offset table
1:
  mov al, cl
  and al, 3
  call translates_al
  add edx, eax
  dec ecx
  jnz 1b
  check "an instruction that is interpreted in a callee", edx, 75*(3 + 5 + 7 + 9) + 300*256
  ret

# One caller, two callees at the same address: in turns, and many times each.
other_pages_in_turns:
  map NAME, caller
  map NAME+0x1000, callee
  mov ebx, NAME
  mov esi, NAME + 0x1000
  mov r8d, offset callee + 7
  mov r9d, offset other_callee + 7
  mov ecx, 200
  xor edx, edx
1:
  call rbx
  add edx, eax
  xchg r8, r9
  mov [PT + 8], r8
  invlpg [rsi]
  dec ecx
  jnz 1b
  check "two callees in turns", edx, 100*(11 + 21)
  mov edi, 6
  xor edx, edx
2:
  mov ecx, 100
1:
  call rbx
  add edx, eax
  dec ecx
  jnz 1b
  xchg r8, r9
  mov [PT + 8], r8
  mov rax, cr3
  mov cr3, rax
  dec edi
  jnz 2b
  check "two callees, each for a while", edx, 300*(11 + 21)
  ret

changes_what_is_called:
  map NAME, caller
  map NAME+0x1000, callee
  mov rax, cr3
  mov cr3, rax
  mov ecx, 300
  xor edx, edx
1:
  test cl, 31
  jnz 2f
  inc dword ptr [callee + 1]
2:
  call rbx
  add edx, eax
  dec ecx
  jnz 1b
  check "a callee that is written at times", edx, 4740
  mov dword ptr [callee + 1], 10
  ret

unmaps_what_is_called:
  mov ecx, 100
1:
  call rbx
  dec ecx
  jnz 1b
  and qword ptr [PT + 8], ~1
  invlpg [rsi]
  arm 1f, NAME+0x1000
  call rbx
1:
  fault_result "a callee that is gone", V_PF, 0x10
  ret

.balign 4096
keeps_flags:
  mov eax, [rip + counted]
  lea eax, [rax + 1]
  mov [rip + counted], eax
  psubd xmm0, xmm4
  ret

adds_arguments:
  mov eax, [rsp + 8]
  add eax, [rsp + 16]
  ret 16

skips:                          # without a branch, so that it is the return that leaves
  xor eax, eax
  inc edi
  cmp edi, 7
  cmove edi, eax
  sete al
  add eax, eax
  add [rsp], rax
  ret

outer:
  call inner
  test cl, 2
  jz 1f
  nop
1:
  ret

fibonacci:
  cmp edi, 1
  mov eax, edi
  jbe 1f
  push rdi
  dec edi
  call fibonacci
  pop rdi
  push rax
  sub edi, 2
  call fibonacci
  pop rdx
  add eax, edx
1:
  ret

loads_from_rsi:
  mov eax, 1 << 30
  cmovne eax, esi
  cmove eax, [rip + not_mapped]
loads:
  mov edx, [rax]
  mov eax, ecx
  ret
not_mapped: .long NAME + 0x100000

translates_al:
  movzx eax, al
  xlatb
  add eax, [rip + two_hundred_and_fifty_six]
  ret
two_hundred_and_fifty_six: .long 256

.balign 4096
inner:
  test cl, 3
  jnz 1f
  mov rsp, rbx
  jmp out_of_two_calls
1:
  ret
table: .byte 3, 5, 7, 9
counted: .long 0

.balign 4096
caller:
  call caller + 0x1000
  inc eax
  ret
.balign 4096
callee:
  mov eax, 10
  ret
.balign 4096
other_callee:
  mov eax, 20
  ret
.balign 4096
