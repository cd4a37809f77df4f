# Accesses close together through the same registers, on pages that are neighbours in linear memory only.
# 64-bit mode.

.include "lib.inc"

.set FRAMES, 0x400000           # physical: the second page comes first
.set PAIR, 0x40000000           # linear: two pages, and none behind them
.set EDGE, PAIR + 0x1000
.set PT, 0x110000

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + 7
  mov dword ptr [PT], FRAMES + 0x5007
  mov dword ptr [PT + 8], FRAMES + 7
  mov dword ptr [PT + 16], 0
  mov rax, cr3
  mov cr3, rax
  call stack
  call structure
  call moving_base
  call copies
  call frames
  call mixed
  call far_registers
  call epilogues
  call chain
  call last_page
  finish

# Pushes, reads and pops with the edge in their midst.
stack:
  mov r12, rsp
  mov r13d, 40
1:
  mov rsp, EDGE + 16
  lea rax, [r13 + 1]
  lea rbx, [r13 + 20]
  lea rcx, [r13 + 300]
  lea rdx, [r13 + 4000]
  push rax
  push rbx
  push rcx
  push rdx
  mov esi, [rsp]
  sub rsi, [rsp + 8]
  add rsi, [rsp + 16]
  sub rsi, [rsp + 24]
  pop rax
  pop rbx
  pop rcx
  pop rdx
  lea rdi, [rax + rbx*2]
  lea rdi, [rdi + rcx*4]
  lea rdi, [rdi + rdx*8]
  dec r13d
  jnz 1b
  mov rsp, r12
  check "reads of the stack", esi, 3719
  check "pops", edi, 4703
  check_memory "above the edge", FRAMES + 8, 2
  check_memory "below the edge", FRAMES + 0x5ff8, 301
  ret

# Fields of every alignment, moved byte by byte across the edge.
structure:
  mov ebx, EDGE - 40
  xor esi, esi
1:
  mov [rbx + 4], ebx
  mov [rbx + 12], bx
  mov [rbx + 16], rbx
  mov byte ptr [rbx + 31], 3
  mov eax, [rbx + 4]
  sub eax, ebx
  or esi, eax
  movzx eax, word ptr [rbx + 12]
  sub ax, bx
  or esi, eax
  mov rax, [rbx + 16]
  sub rax, rbx
  or esi, eax
  movsx eax, byte ptr [rbx + 31]
  sub eax, 3
  or esi, eax
  mov [rbx + rsi*4 + 40], ebx
  mov eax, [rbx + rsi*4 + 44]
  xor eax, [rbx + rsi*4 + 40]
  xor eax, ebx
  xor eax, [rbx + rsi*4 + 44]
  or esi, eax
  inc ebx
  cmp ebx, EDGE + 8
  jne 1b
  check "fields", esi, 0
  ret

# Constants added to the base between the accesses.
moving_base:
  mov ecx, 40
1:
  mov ebx, EDGE - 24
  mov dword ptr [rbx], 1
  add rbx, 16
  mov dword ptr [rbx], 2
  lea rbx, [rbx + 12]
  mov dword ptr [rbx], 3
  sub rbx, 8
  mov dword ptr [rbx], 4
  mov eax, [rbx + 8]
  mov edx, [rbx - 20]
  dec ecx
  jnz 1b
  check "after the last step", eax, 3
  check "before the first", edx, 1
  check_memory "first", FRAMES + 0x5fe8, 1
  check_memory "second", FRAMES + 0x5ff8, 2
  check_memory "third", FRAMES + 4, 3
  check_memory "fourth", FRAMES + 0x5ffc, 4
  ret

# Copies of the base, some of them with a constant added, while others are overwritten; an index too.
copies:
  mov r9d, EDGE - 44
  xor esi, esi
1:
  mov rbx, r9
  mov dword ptr [rbx + 4], ebx
  mov rdx, rbx
  mov ebx, 4
  lea rdi, [rdx + 8]
  mov dword ptr [rdi + 12], edx
  mov r10, rdi
  inc rdi
  mov byte ptr [rdi + 15], 7
  mov eax, [rdx + 4]
  sub eax, [r10 + 12]
  or esi, eax
  dec rdi
  movzx eax, byte ptr [rdi + 16]
  sub eax, 7
  or esi, eax
  xchg rdx, r10
  mov eax, [rdx + 12]
  sub eax, r9d
  or esi, eax
  mov dword ptr [r9 + rbx*4 + 24], 9
  inc rbx
  mov rcx, rbx
  mov eax, [r9 + rcx*4 + 20]
  mov cl, 6
  add eax, [r9 + rcx*4 + 16]
  sub eax, 18
  or esi, eax
  inc r9d
  cmp r9d, EDGE + 8
  jne 1b
  check "by copies", esi, 0
  ret

# A frame pointer and what it was made of.
frames:
  mov r12, rsp
  mov r13d, 40
1:
  mov esp, EDGE + 24
  push r13
  mov rbp, rsp
  sub rsp, 32
  mov [rbp - 8], rbp
  mov [rbp - 24], r13
  mov rax, [rsp + 24]
  sub rax, rbp
  mov rdi, [rsp + 8]
  sub rdi, [rbp]
  leave
  mov [rsp - 40], rax
  mov rsi, [rsp - 40]
  or rsi, rdi
  dec r13d
  jnz 1b
  mov rsp, r12
  check "in the frame", esi, 0
  check "behind the frame", edi, 0
  ret

# Between fields: flags that live on, a division, the stack, ways out that are rarely taken.
mixed:
  mov r9d, EDGE - 72
  xor esi, esi
  xor r8d, r8d
  xor r11d, r11d
1:
  mov rbx, r9
  mov [rbx], r9
  mov qword ptr [rbx + 8], -1
  add qword ptr [rbx + 8], 1
  mov rdx, [rbx]
  adc qword ptr [rbx + 8], 4
  pushfq
  mov rcx, [rbx + 8]
  pop rdi
  and edi, 0x41
  or esi, edi
  sub rdx, r9
  or esi, edx
  xor edx, edx
  mov dword ptr [rbx + 16], 100
  mov eax, [rbx + 16]
  div qword ptr [rbx + 8]
  mov dword ptr [rbx + 20], 0
  test r9b, 7
  jnz 2f
  mov dword ptr [rbx + 20], 1
2:
  add r8d, [rbx + 20]
  call add_field
  cmp rcx, [rbx + 8]
  jne 3f
  inc r9d
  cmp r9d, EDGE + 8
  jne 1b
3:
  check "flags and copies", esi, 0
  check "quotients", r11d, 1600
  check "exits", r8d, 10
  check_memory "the last field", FRAMES + 15, 5
  ret
add_field:
  mov [rbx + 24], eax
  add r11d, [rbx + 24]
  ret

# Bases that few hosts have registers for, in turns, one of them changed in between.
far_registers:
  mov r12, rsp
  mov r9d, EDGE - 40
  xor esi, esi
1:
  lea r14, [r9 + 8]
  lea r15, [r9 - 0x800]
  mov [r14 + 8], r9
  mov [r14 + 16], r15
  mov rax, [r15 + 0x810]
  sub rax, r9
  or rsi, rax
  mov [r14 + 24], r14
  lea rsp, [r14 + 24]
  pop rcx
  mov rax, [r14 + 16]
  mov r10, [r14 + 24]
  sub rcx, r14
  or rsi, rcx
  sub rax, r15
  or rsi, rax
  xor rcx, [r14 + 24]
  xor rcx, r14
  or rsi, rcx
  inc r14
  mov [r14 + 24], r14
  mov r14, [r14 + 24]
  mov rax, [r14 + 24]
  sub rax, r14
  or rsi, rax
  sub r10, [r15 + 0x810]
  add r10, -8
  or rsi, r10
  lea r14, [r15 + 0x800]
  mov rax, [r14 + 16]
  sub rax, [r15 + 0x810]
  or rsi, rax
  inc r9d
  cmp r9d, EDGE + 8
  jne 1b
  mov rsp, r12
  check "by registers in memory", esi, 0
  ret

# Pops and a return with the edge somewhere in their midst.
epilogues:
  mov r12, rsp
  mov r13d, 48
  xor esi, esi
1:
  lea rsp, [r13 + EDGE - 16]
  call 2f
  inc esi
  dec r13d
  jnz 1b
  mov rsp, r12
  check "returns", esi, 48
  ret
2:
  push r13
  push rsi
  xor r13d, r13d
  mov rsi, [rsp + 8]
  pop rsi
  pop r13
  ret

# The base is loaded through itself.
chain:
  mov ecx, 40
1:
  mov ebx, EDGE - 64
  mov dword ptr [rbx + 8], EDGE + 64
  mov dword ptr [rbx + 12], 0
  mov dword ptr [EDGE + 72], 77
  mov rbx, [rbx + 8]
  mov eax, [rbx + 8]
  dec ecx
  jnz 1b
  check "behind a pointer", eax, 77
  ret

# The group reaches into a page that is not there.
last_page:
  mov ebp, 40
1:
  mov ebx, EDGE + 0x1000 - 8
  mov dword ptr [rbx], 5
  xor eax, eax
  arm 2f, 3f
  mov eax, [rbx]
3:
  mov edx, [rbx + 8]
2:
  dec ebp
  jnz 1b
  fault_result "the access beyond", 14, 0
  check "the one before it", eax, 5
  ret
