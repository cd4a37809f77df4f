# Data breakpoints: every kind and length at every alignment, against reads and writes of every size around them, in each
# of the four registers. 64-bit mode. SDM volume 3, "Debug Registers", "Recognition of Data and I/O Breakpoints".

.include "lib.inc"

.set AREA, SCRATCH + 64

use16
main:
  enter_long
  call sweep
  check_memory "last mismatch (access, offset, length, kind, register)", mismatch, 0
  check_memory "mismatches", mismatches, 0
  check_memory "hits", hits, 2406
  call reserved_lengths
  finish

# R12: register, R13: 1 for writes, 3 for accesses, R14: LEN, R15: address from AREA. EBP: access, its size in bits 0 and 1
# and writes in bit 2. EBX: its address from the breakpoint's.
sweep:
  xor r12d, r12d
  mov r13d, 1
.Lkind:
  xor r14d, r14d
.Llength:
  xor r15d, r15d
.Laddress:
  inc r12d                                      # another register each time
  and r12d, 3
  call arm_register
  xor ebp, ebp
.Laccess:
  mov ebx, -8
.Loffset:
  call one
  inc ebx
  cmp ebx, 8
  jle .Loffset
  inc ebp
  cmp ebp, 8
  jb .Laccess
  inc r15d
  cmp r15d, 8
  jb .Laddress
  inc r14d
  cmp r14d, 4
  jb .Llength
  add r13d, 2
  cmp r13d, 3
  jbe .Lkind
  mov eax, 0x400
  mov dr7, rax
  ret

arm_register:
  mov eax, 0x400
  mov dr7, rax
  lea eax, [r15 + AREA]
  mov dr0, rax
  mov dr1, rax
  mov dr2, rax
  mov dr3, rax
  # Enabled locally or globally, by turns.
  mov ecx, r12d
  shl ecx, 1
  mov eax, r15d
  and eax, 1
  add ecx, eax
  mov eax, 1
  shl eax, cl
  mov edx, r14d
  shl edx, 2
  or edx, r13d
  lea ecx, [r12 * 4 + 16]
  shl edx, cl
  lea eax, [rax + rdx + 0x400]
  mov dr7, rax
  ret

one:
  call expected_hit
  mov [wanted], eax
  mov eax, 0xffff0ff0
  mov dr6, rax
  lea edi, [rbx + r15]
  add edi, AREA
  arm .Ldone, 0
  mov ecx, ebp
  shl ecx, 3
  lea rax, [rcx + accesses]
  jmp rax
.balign 8
accesses:
  mov al, [rdi]
  jmp .Ldone
.balign 8
  mov ax, [rdi]
  jmp .Ldone
.balign 8
  mov eax, [rdi]
  jmp .Ldone
.balign 8
  mov rax, [rdi]
  jmp .Ldone
.balign 8
  mov [rdi], al
  jmp .Ldone
.balign 8
  mov [rdi], ax
  jmp .Ldone
.balign 8
  mov [rdi], eax
  jmp .Ldone
.balign 8
  mov [rdi], rax
  jmp .Ldone
.Ldone:
  mov dword ptr [resume], offset unexpected64
  xor eax, eax
  cmp dword ptr [last_vector], NONE
  je 1f
  inc eax
  inc dword ptr [hits]
  mov rdx, dr6
  and edx, 0x400f
  btc edx, r12d
  test edx, edx
  jnz 2f
1:
  cmp eax, [wanted]
  je 3f
2:
  inc dword ptr [mismatches]
  mov eax, ebp
  shl eax, 8
  mov al, bl
  shl eax, 4
  or eax, r14d
  shl eax, 4
  or eax, r13d
  shl eax, 4
  or eax, r12d
  mov [mismatch], eax
3:
  ret

# 1 where the access should be met, in EAX: LEN masks the low bits of the address.
expected_hit:
  xor eax, eax
  test ebp, 4
  jnz 1f
  cmp r13d, 3
  jne 2f
1:
  movzx ecx, byte ptr [lengths + r14]
  mov edx, r15d
  lea esi, [rcx - 1]
  not esi
  and edx, esi                                  # the breakpoint's first byte
  lea edi, [rbx + r15]                          # the access's
  add ecx, edx
  cmp edi, ecx
  jge 2f
  mov ecx, ebp
  and ecx, 3
  mov esi, 1
  shl esi, cl
  add esi, edi
  cmp esi, edx
  jle 2f
  inc eax
2:
  ret

# Instruction breakpoints take LEN of 0 only; others are undefined, and met by no data here.
reserved_lengths:
  mov eax, AREA
  mov dr0, rax
  mov eax, 0x402
  mov dr7, rax
  mov edi, AREA
  faults "a read of an instruction breakpoint's address", NONE, 0, mov eax, [rdi]
  faults "a write of it", NONE, 0, mov [rdi], eax
  # An I/O breakpoint is none without CR4.DE, nor does memory meet it.
  mov eax, 0x80
  mov dr0, rax
  mov eax, 0x20402
  mov dr7, rax
  faults "an I/O breakpoint without DE", NONE, 0, out 0x80, al
  set_bits cr4, CR4_DE
  .macro port name, vector, address, code:vararg
  mov eax, \address
  mov dr0, rax
  traps "\name", \vector, 0, \code
  .endm
  port "a byte port", V_DB, 0x80, out 0x80, al
  port "its neighbour", NONE, 0x81, out 0x80, al
  port "a word reaches it", V_DB, 0x81, in ax, 0x80
  port "a doubleword reaches it", V_DB, 0x83, in eax, 0x80
  port "and no further", NONE, 0x84, in eax, 0x80
  mov eax, 0x402 | 0x2 << 16 | 0x1 << 18
  mov dr7, rax
  port "two ports, the second", V_DB, 0x80, out 0x81, al
  port "two ports, aligned", V_DB, 0x81, out 0x80, al
  mov eax, 0x402 | 0x2 << 16 | 0x3 << 18
  mov dr7, rax
  port "four ports", V_DB, 0x80, out 0x83, al
  port "behind four ports", NONE, 0x80, out 0x84, al
  mov dx, 0x80
  mov esi, SCRATCH
  mov ecx, 1
  port "REP OUTSB", V_DB, 0x80, rep outsb
  mov eax, 0x400
  mov dr7, rax
  clear_bits cr4, CR4_DE
  ret

.data
lengths: .byte 1, 2, 8, 4
.balign 8
wanted: .quad 0
hits: .quad 0
mismatch: .quad 0
mismatches: .quad 0
