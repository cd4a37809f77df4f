# Canonical addresses in every addressing form: below the boundary #PF, at and across it #GP(0), or #SS(0) through the
# stack; and instruction fetch up to it. 64-bit mode. SDM volume 1, "Canonical Addressing".

.include "lib.inc"

.set LIMIT, 0x800000000000      # first address that is not canonical
.set PDPT, 0x110000
.set PT, 0x112000

use16
main:
  enter_long
  # What has no sound stack is handled on another one.
  use_ist1 V_SS, V_GP, V_PF
  set_bits cr4, CR4_OSFXSR
  movabs r8, LIMIT
  call forms
  call widths
  call strings
  call segments
  call stacks
  call others
  call upper_half
  call fetch
  finish

# `code` with RBX at, and eight bytes below the boundary.
.macro both name, vector, code:vararg
  mov rbx, r8
  mov rsi, r8
  mov rdi, r8
  faults "\name", \vector, 0, \code
  lea rbx, [r8 - 64]
  mov rsi, rbx
  mov rdi, rbx
  arm .Lafter\@, .Lat\@
.Lat\@:
  \code
.Lafter\@:
  mov dword ptr [resume], offset unexpected64
  check_memory "\name: below it", last_vector, V_PF
.endm

forms:
  mov ecx, 8
  xor edx, edx
  both "[base]", V_GP, mov rax, [rbx]
  both "[base+8]", V_GP, mov rax, [rbx+8]
  both "[base+index]", V_GP, mov rax, [rbx+rdx]
  both "[base+index*8+32]", V_GP, mov rax, [rbx+rdx*8+32]
  shr r8, 3
  .macro scaled name, code:vararg
  mov rbx, r8
  faults "\name", V_GP, 0, \code
  .endm
  scaled "[index*8]", mov rax, [rbx*8]
  scaled "[index*8+32]", mov rax, [rbx*8+32]
  shl r8, 3
  faults "moffs64", V_GP, 0, movabs rax, [0x800000000000]
  faults "moffs64, store", V_GP, 0, movabs [0x800000000000], rax
  faults "moffs64 below it", V_PF, 0, movabs rax, [0x7ffffffffff8]
  mov rbx, -8
  faults "the sum wraps around 0", NONE, 0, mov rax, [rbx+SCRATCH]
  mov rbx, LIMIT - 16
  faults "a displacement crosses the boundary", V_GP, 0, mov rax, [rbx+16]
  mov rbx, LIMIT
  faults "a displacement leads back", V_PF, 0, mov rax, [rbx-16]
  movabs rbx, 0xffff7fffffffffff
  faults "below the upper half", V_GP, 0, mov al, [rbx]
  faults "its first byte", V_PF, 0, mov al, [rbx+1]
  movabs rbx, 0xdead000000000000
  faults "far from both halves", V_GP, 0, mov al, [rbx]
  ret

# An access is checked to its last byte.
widths:
  .macro across name, bytes, code:vararg
  lea rbx, [r8 - \bytes + 1]
  faults "\name across the boundary", V_GP, 0, \code
  lea rbx, [r8 - \bytes]
  arm .Lafter\@, .Lat\@
.Lat\@:
  \code
.Lafter\@:
  mov dword ptr [resume], offset unexpected64
  check_memory "\name up to it", last_vector, V_PF
  .endm
  across "word", 2, mov ax, [rbx]
  across "doubleword", 4, mov eax, [rbx]
  across "quadword", 8, mov rax, [rbx]
  across "quadword store", 8, mov [rbx], rax
  across "read-modify-write", 8, add [rbx], rax
  across "MOVUPS", 16, movups xmm0, [rbx]
  across "MOVUPS store", 16, movups [rbx], xmm0
  across "FLD of ten bytes", 10, fld tbyte ptr [rbx]
  across "FILD", 8, fild qword ptr [rbx]
  lea rbx, [r8 - 8]
  faults "SGDT across the boundary", V_GP, 0, sgdt [rbx]
  lea rbx, [r8 - 16]
  faults "FXSAVE across the boundary", V_GP, 0, fxsave [rbx]
  faults "CMPXCHG16B up to it", V_PF, 2, cmpxchg16b [rbx]
  mov rbx, r8
  faults "CMPXCHG16B", V_GP, 0, cmpxchg16b [rbx]
  # A bit string reaches beyond its operand.
  lea rbx, [r8 - 8]
  mov edx, 64
  faults "BT beyond the boundary", V_GP, 0, bt [rbx], rdx
  mov rdx, -64
  faults "BT before it", V_PF, 0, bt [rbx], rdx
  xor edx, edx
  ret

strings:
  cld
  mov ecx, 4
  both "LODSB", V_GP, lodsb
  both "STOSB", V_GP, stosb
  both "SCASQ", V_GP, scasq
  both "REP LODSQ", V_GP, rep lodsq
  mov ecx, 4
  both "XLAT", V_GP, xlatb
  mov esi, SCRATCH
  mov rdi, r8
  mov ecx, 4
  faults "REP MOVSB, destination", V_GP, 0, rep movsb
  check "nothing was moved", ecx, 4
  mov rsi, r8
  mov edi, SCRATCH
  faults "REP MOVSB, source", V_GP, 0, rep movsb
  mov rdi, r8
  mov dx, 0x80
  faults "INSB", V_GP, 0, insb
  faults "OUTSB", V_GP, 0, outsb
  xor edx, edx
  ret

# FS and GS add their base, with 32-bit addresses as well; the others have none.
segments:
  movabs rax, 0x7fffffffff00
  mov rdx, rax
  shr rdx, 32
  mov ecx, 0xc0000100
  wrmsr
  xor edx, edx
  faults "FS base and offset below", V_PF, 0, mov rax, fs:[rdx]
  mov ebx, 0x100
  faults "FS base and offset beyond", V_GP, 0, mov rax, fs:[rbx]
  faults "FS base and 32-bit offset beyond", V_GP, 0, mov rax, fs:[ebx]
  faults "FS base and displacement beyond", V_GP, 0, mov rax, fs:[0x100]
  mov rbx, -0x100
  faults "FS base and negative offset", V_PF, 0, mov rax, fs:[rbx]
  mov rbp, 0x100
  faults "FS and RBP", V_GP, 0, mov rax, fs:[rbp]
  write_msr 0xc0000100, 0
  mov rbp, r8
  faults "[rbp] is the stack", V_SS, 0, mov rax, [rbp]
  faults "[rbp+8] is the stack", V_SS, 0, mov rax, [rbp+8]
  faults "[rbp+rdx] is the stack", V_SS, 0, mov rax, [rbp+rdx]
  faults "[rdx+rbp] is not", V_GP, 0, mov rax, [rdx+rbp*1]
  faults "[rsp+rbp] is the stack", V_SS, 0, mov rax, [rsp+rbp]
  mov r13, r8
  mov r12, r8
  faults "[r13] is not the stack", V_GP, 0, mov rax, [r13]
  faults "[r12] is not the stack", V_GP, 0, mov rax, [r12]
  faults "GS: of [rbp] is not the stack", V_GP, 0, mov rax, gs:[rbp]
  ret

# Everything that pushes or pops, with RSP in R9 before.
.macro on_stack name, vector, code:vararg
  mov r9, rsp
  mov rsp, r8
  arm .Lafter\@, .Lat\@
  mov [resume_sp], r9
.Lat\@:
  \code
.Lafter\@:
  fault_result "\name", \vector, 0
.endm

stacks:
  add r8, 16
  on_stack "PUSH", V_SS, push rax
  on_stack "POP", V_SS, pop rax
  on_stack "PUSHFQ", V_SS, pushfq
  on_stack "POPFQ", V_SS, popfq
  on_stack "near CALL", V_SS, call .Lafter_call
.Lafter_call:
  on_stack "near RET", V_SS, ret
  on_stack "far RET", V_SS, .byte 0x48, 0xcb
  on_stack "IRETQ", V_SS, iretq
  on_stack "ENTER", V_SS, enter 0, 0
  on_stack "PUSH of memory", V_SS, push qword ptr [SCRATCH]
  on_stack "POP to memory", V_SS, pop qword ptr [SCRATCH]
  on_stack "PUSH of FS", V_SS, push fs
  mov rbp, r8
  faults "LEAVE", V_SS, 0, leave
  sub r8, 16
  ret

others:
  faults "JMP to it", V_GP, 0, jmp r8
  faults "CALL to it", V_GP, 0, call r8
  push r8
  faults "RET to it", V_GP, 0, ret
  pop r8
  mov rdi, r8
  xor ecx, ecx
  faults "REP STOSB of nothing", NONE, 0, rep stosb
  both "CLFLUSH", V_GP, clflush [rbx]
  both "JMP by memory", V_GP, jmp [rbx]
  both "CALL by memory", V_GP, call [rbx]
  mov rbx, r8
  faults "INVLPG", NONE, 0, invlpg [rbx]
  faults "LEA", NONE, 0, lea rax, [rbx]
  faults "PREFETCH", NONE, 0, prefetcht0 [rbx]
  faults "multi-byte NOP", NONE, 0, nop dword ptr [rbx]
  ret

# The last byte of memory wraps to the first: #PF where nothing is mapped.
upper_half:
  mov rbx, -4
  faults "doubleword at the top", V_PF, 0, mov eax, [rbx]
  ret

# The vector, with error code 0, and RIP in full.
.macro fault_result_at name, vector, rip
  mov dword ptr [resume], offset unexpected64
  check_memory "\name", last_vector, \vector
  mov rax, [last_ip]
  check64 "\name: RIP", rax, "\rip"
.endm

# Code in the last page below the boundary; behind it RIP is not canonical.
fetch:
  mov qword ptr [PML4 + 8 * 255], PDPT + 7
  mov qword ptr [PDPT + 8 * 511], PDPT + 0x1007
  mov qword ptr [PDPT + 0x1000 + 8 * 511], PT + 7
  mov qword ptr [PT + 8 * 511], SCRATCH + 7
  mov rax, cr3
  mov cr3, rax
  mov dword ptr [SCRATCH + 0xffc], 0x90909090
  lea rbx, [r8 - 4]
  arm 1f, 0
  jmp rbx
1:
  fault_result_at "running over the boundary", V_GP, LIMIT
  mov word ptr [SCRATCH + 0xffe], 0xb890        # NOP, MOV EAX, imm32
  arm 1f, 0
  jmp rbx
1:
  fault_result_at "an instruction across the boundary", V_GP, LIMIT-1
  mov word ptr [SCRATCH + 0xffe], 0x00eb        # JMP to the next instruction
  arm 1f, 0
  jmp rbx
1:
  fault_result_at "a relative jump to the boundary", V_GP, LIMIT-2
  mov word ptr [SCRATCH + 0xffe], 0x050f        # SYSCALL: RCX is what would not be canonical
  write_msr 0xc0000081, 0, CODE64
  write_msr 0xc0000082, "offset 1f"
  write_msr 0xc0000084, 0x700
  arm 2f, 0
  jmp rbx
1:
  mov eax, DATA
  mov ss, eax
2:
  fault_result "SYSCALL in front of the boundary", NONE, 0
  check64 "RCX", rcx, LIMIT
  ret
