# Short loops, several turns of which the translator may run as one piece: what differs from turn to turn. 64-bit
# mode.

.include "lib.inc"
.include "frames.inc"

.set FIRST, 0x400000            # frames, neighbours in linear memory only
.set SECOND, 0x402000
.set OFTEN, 40                  # makes a loop hot

use16
main:
  enter_long
  open_edge FIRST, SECOND
  call lengths
  call edges
  call chains
  call backwards
  call own_code
  call faulting
  finish

# ECX turns from ESI on. The sum in EAX.
sum:
  xor eax, eax
1:
  add esi, 1
  add eax, esi
  dec ecx
  jnz 1b
  ret

lengths:
  xor r12d, r12d
  mov r13d, OFTEN
1:
  mov r14d, 1
2:
  xor esi, esi
  mov ecx, r14d
  call sum
  add r12d, eax
  add r14d, 1
  cmp r14d, 24
  jb 2b
  dec r13d
  jnz 1b
  check "from one turn to 23", r12d, OFTEN*2300
  check "its last number", esi, 23
  ret

# ECX quadwords from RDI on become 1, 2 and so on.
fill:
  xor eax, eax
1:
  add eax, 1
  mov [rdi], rax
  add rdi, 8
  cmp eax, ecx
  jb 1b
  ret

# Their sum in EAX.
total:
  xor eax, eax
1:
  add rax, [rdi]
  add rdi, 8
  dec ecx
  jnz 1b
  ret

# Twelve, 0 to 12 of them on the first page.
edges:
  xor r12d, r12d
  xor r13d, r13d
  mov ebx, OFTEN
1:
  mov ebp, 0
2:
  lea edi, [rbp * 8]
  neg rdi
  add rdi, EDGE
  mov ecx, 12
  call fill
  lea rdi, [rdi - 96]
  mov ecx, 12
  call total
  add r12d, eax
  # Those of the second frame, by its own address.
  mov edi, SECOND
  mov ecx, 12
  sub ecx, ebp
  jz 3f
  call total
  add r13d, eax
3:
  add ebp, 1
  cmp ebp, 12
  jbe 2b
  dec ebx
  jnz 1b
  check "turns on two pages", r12d, OFTEN*13*78
  check "turns on the second", r13d, OFTEN*650
  ret

# What a turn stores the next one loads.
chains:
  mov ebx, OFTEN
1:
  mov edi, FIRST
  mov qword ptr [rdi], 5
  mov ecx, 50
2:
  mov rax, [rdi]
  lea rax, [rax + rax * 2 + 1]
  and eax, 0xffff
  mov [rdi + 8], rax
  add rdi, 8
  dec ecx
  jnz 2b
  dec ebx
  jnz 1b
  check "a chain through memory", eax, 0x64d1
  ret

# Of words, from the second page to the first.
backwards:
  mov ebx, OFTEN
1:
  mov rdi, EDGE + 10
  mov ecx, 11
2:
  mov [rdi], cx
  sub rdi, 2
  dec ecx
  jnz 2b
  dec ebx
  jnz 1b
  check_memory "downwards, the second page", SECOND, 0x00070006
  check_memory "downwards, the first page", (FIRST + 0xffc), 0x00050004
  ret

# Each turn changes the next one.
own_code:
  xor r12d, r12d
  mov ebx, OFTEN
1:
  mov dword ptr [changing + 1], 0
  xor eax, eax
  mov ecx, 11
changing:
  add eax, 0x11223344
  inc dword ptr [changing + 1]
  dec ecx
  jnz changing
  add r12d, eax
  dec ebx
  jnz 1b
  check "turns that change the next", r12d, OFTEN*55
  ret

.macro faults_in turn
  mov rdi, EDGE - 8 * (\turn - 1)
  xor eax, eax
  mov ecx, 20
  mov edx, 7
  arm 2f, at_fault
  jmp loads
2:
  fault_result "a fault in turn \turn", V_PF, 0
  check "turn \turn: RCX", ecx, 21-\turn
  check "turn \turn: RDI", edi, EDGE
  check "turn \turn: RAX", eax, \turn-1
  check "turn \turn: EDX", edx, 7+\turn
.endm

# RCX quadwords from RDI on.
loads:
  add edx, 1
at_fault:
  add rax, [rdi]
  add rdi, 8
  dec ecx
  jnz loads
  ret

faulting:
  mov ecx, 0x200
  mov edi, FIRST
1:
  mov qword ptr [rdi], 1
  add rdi, 8
  dec ecx
  jnz 1b
  mov ebx, OFTEN
1:
  mov rdi, NAME
  mov ecx, 30
  call loads
  dec ebx
  jnz 1b
  mov qword ptr [PT + 8], 0
  invlpg [EDGE]
.irp turn, 1, 2, 3, 4, 5, 6, 7, 8, 9
  faults_in \turn
.endr
  ret
