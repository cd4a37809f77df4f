# Loops of R9 to R11, R14 and R15, which take the places of other registers there: what all registers are behind
# each way out. 64-bit mode.

.include "lib.inc"

.set SAVED, SCRATCH
.set POINTER, SCRATCH + 0x1000

.macro set_out
  mov ebx, 0x103
  mov ebp, 0x105
  mov esi, 0x106
  mov edi, 0x107
  mov r8d, 0x108
  mov r12d, 0x112
  mov r13d, 0x113
  xor r9d, r9d
  xor r10d, r10d
  mov r11d, 3
  xor r14d, r14d
  xor r15d, r15d
  mov ecx, 100
.endm

# Keeps the flags.
.macro save_registers
.irp number, 8, 9, 10, 11, 12, 13, 14, 15
  mov [SAVED + 8 * \number], r\number
.endr
  mov [SAVED + 8 * 3], rbx
  mov [SAVED + 8 * 5], rbp
  mov [SAVED + 8 * 6], rsi
  mov [SAVED + 8 * 7], rdi
.endm

.macro saved name:req, number:req, want:req
  check_memory "\name: \number", [SAVED + 8 * \number], \want
.endm

.macro rest_is_old name:req
  saved "\name", 3, 0x103
  saved "\name", 5, 0x105
  saved "\name", 6, 0x106
  saved "\name", 7, 0x107
  saved "\name", 8, 0x108
  saved "\name", 12, 0x112
  saved "\name", 13, 0x113
.endm

use16
main:
  enter_long
  call at_the_end
  call in_the_middle
  call all_registers
  call interpreted
  call faulting
  call bytes
  call high_bytes
  call implied
  call narrow
  call indexed
  finish

at_the_end:
  set_out
1:
  add r9, 1
  add r10, r9
  lea r14, [r10 + r11]
  xor r15, r14
  dec ecx
  jnz 1b
  save_registers
  saved "at the end", 9, 100
  saved "at the end", 10, 5050
  saved "at the end", 11, 3
  saved "at the end", 14, 5053
  saved "at the end", 15, 0x1576
  rest_is_old "at the end"
  ret

# By a comparison whose flags are looked at behind the way out.
in_the_middle:
  set_out
1:
  add r9, 2
  add r10, r9
  cmp r9, 60
  je 2f
  add r14, r10
  xor r15, r14
  dec ecx
  jnz 1b
2:
  pushfq
  save_registers
  pop rax
  and eax, 0x8d5
  check "in the middle: flags", eax, 0x44
  check "in the middle: ECX", ecx, 71
  saved "in the middle", 9, 60
  saved "in the middle", 10, 930
  saved "in the middle", 11, 3
  saved "in the middle", 14, 0x231e
  saved "in the middle", 15, 0x2540
  rest_is_old "in the middle"
  ret

# Of registers that are all in use the loop keeps those in memory that it uses least.
all_registers:
  set_out
1:
  add ebx, 1
  add ebp, 2
  add esi, 3
  add edi, 4
  add r8, 5
  add r12, 6
  add r13, 7
  add r9, rbx
  add r9, rbp
  xor r9, r10
  add r10, rsi
  add r10, rdi
  xor r10, r11
  add r11, r8
  add r11, r12
  xor r11, r9
  add r14, r13
  add r14, r9
  xor r14, r15
  add r15, r10
  add r15, r11
  xor r15, r14
  dec ecx
  jnz 1b
  save_registers
  saved "all registers", 3, 0x167
  saved "all registers", 5, 0x1cd
  saved "all registers", 6, 0x232
  saved "all registers", 7, 0x297
  saved "all registers", 8, 0x2fc
  saved "all registers", 9, 0x1f856
  saved "all registers", 10, 0x13c85
  saved "all registers", 11, 0xa19b
  saved "all registers", 12, 0x36a
  saved "all registers", 13, 0x3cf
  saved "all registers", 14, 0x38d087
  saved "all registers", 15, 0x61a26d
  ret

# LSL, which is left to the interpreter, reads one of them and writes another.
interpreted:
  set_out
  mov r14d, DATA
1:
  add r9, 1
  xor r10d, r10d
  lsl r10, r14
  add r15, r10
  sub r15, r9
  dec ecx
  jnz 1b
  save_registers
  saved "with LSL", 9, 100
  saved "with LSL", 10, 0xffffffff
  saved "with LSL", 11, 3
  saved "with LSL", 14, DATA
  saved "with LSL", 15, -5150
  rest_is_old "with LSL"
  ret

# A load whose address is not canonical in the 50th round.
faulting:
  set_out
  mov qword ptr [POINTER], 7
  mov r10d, POINTER
  mov r11, 0x8000000000000000
  arm 2f, loads
1:
  add r9, 1
  cmp r9, 50
  cmove r10, r11
loads:
  mov rax, [r10]
  add r14, rax
  add r15, r14
  dec ecx
  jnz 1b
2:
  save_registers
  fault_result "a load in a loop is #GP", V_GP, 0
  check "faulting: ECX", ecx, 51
  saved "faulting", 9, 50
  saved "faulting", 10, 0
  saved "faulting", 11, 0
  saved "faulting", 14, 343
  saved "faulting", 15, 8575
  rest_is_old "faulting"
  ret

# BH stays where it is, bytes and words of others move with them.
bytes:
  set_out
1:
  mov bh, cl
  add r9b, cl
  add r10w, r9w
  movzx r11d, r10b
  add r14b, r11b
  movsx r15d, r14b
  xchg sil, r15b
  dec ecx
  jnz 1b
  save_registers
  saved "bytes", 3, 0x103
  saved "bytes", 5, 0x105
  saved "bytes", 6, 0x169
  saved "bytes", 7, 0x107
  saved "bytes", 8, 0x108
  saved "bytes", 9, 0xba
  saved "bytes", 10, 0x31ae
  saved "bytes", 11, 0xae
  saved "bytes", 12, 0x112
  saved "bytes", 13, 0x113
  saved "bytes", 14, 0x69
  saved "bytes", 15, 0xbb
  ret

# The host knows AH to BH by the numbers of others.
high_bytes:
  set_out
  mov eax, 0x1234
1:
  add eax, 0x111
  movzx esi, ah
  mov bh, cl
  mov [POINTER], bh
  add r9, rsi
  add r10, r9
  movzx r11d, byte ptr [POINTER]
  add r9, r11
  mov r11d, 3
  add r14, r10
  xor r15, r14
  dec ecx
  jnz 1b
  save_registers
  saved "high bytes", 3, 0x103
  saved "high bytes", 5, 0x105
  saved "high bytes", 6, 0x7c
  saved "high bytes", 7, 0x107
  saved "high bytes", 8, 0x108
  saved "high bytes", 9, 0x2fac
  saved "high bytes", 10, 0x93e40
  saved "high bytes", 11, 0x3
  saved "high bytes", 12, 0x112
  saved "high bytes", 13, 0x113
  saved "high bytes", 14, 0x1364d0d
  saved "high bytes", 15, 0x1d04d35
  ret

# CMPXCHG8B takes EBX and ECX without saying so.
implied:
  set_out
  mov qword ptr [POINTER], 0
1:
  mov eax, [POINTER]
  mov edx, [POINTER + 4]
  lea ebx, [rax + 2]
  lock cmpxchg8b [POINTER]
  setz r11b
  add r9, r11
  add r10, r9
  add r14, r10
  xor r15, r14
  dec ecx
  jnz 1b
  save_registers
  check_memory "CMPXCHG8B: low half", [POINTER], 200
  check_memory "CMPXCHG8B: high half", [POINTER + 4], 1
  saved "CMPXCHG8B", 3, 200
  saved "CMPXCHG8B", 9, 100
  saved "CMPXCHG8B", 10, 5050
  ret

# Bytes, words and doublewords of each, written and read at another width, with operands that are of
# the five as well. Other registers are used more, so that none takes their places.
.macro narrow_forms number:req, other:req
  mov r\number, 0x1122334455667788
  mov r\number\()b, 0x99
  add r\number\()w, 0x101
  shl r\number\()w, 4
  xor r\number\()b, 0xff
  movzx eax, r\number\()b
  add r\number\()w, ax
  mov r\other, r\number
  lea r\number\()w, [rax + 1]
  neg r\number\()b
  cmp r\number\()d, 0x556600a0
  setz r\number\()b
  bswap r\other
  cmp r\other, r\number
  cmova r\other\()d, r\number\()d
  movsx edx, r\number\()w
  add r\number\()d, r\other\()d
  lea r\other\()d, [r\number + r\other * 2 + 5]
  test r\number\()d, r\other\()d
  sbb edx, 0
  adc r\number\()d, r\other\()d
  imul r\other, r\number
  mov r\number\()d, r\other\()d
  add r\other, rdx
.irp used, rbx, rbp, rsi, rdi, r8, r12, r13
  .rept 5
  add \used, r\number
  .endr
.endr
.endm

narrow:
  set_out
  mov ecx, 40
1:
  narrow_forms 9, 10
  narrow_forms 11, 14
  narrow_forms 14, 15
  narrow_forms 15, 9
  narrow_forms 10, 11
  dec ecx
  jnz 1b
  save_registers
.irp number, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  mov rax, [SAVED + 8 * \number]
  mov rdx, rax
  shr rdx, 31
  xor eax, edx
  and eax, 0x7fffffff
  mov [SAVED + 8 * \number], rax
.endr
  saved "narrow, folded", 3, 0x16e186dc
  saved "narrow, folded", 5, 0x16e186da
  saved "narrow, folded", 6, 0x16e186d9
  saved "narrow, folded", 7, 0x16e186d8
  saved "narrow, folded", 8, 0x16e186a7
  saved "narrow, folded", 9, 0x314edea3
  saved "narrow, folded", 10, 0x310c0062
  saved "narrow, folded", 11, 0x314edea3
  saved "narrow, folded", 12, 0x16e186ad
  saved "narrow, folded", 13, 0x16e186ac
  saved "narrow, folded", 14, 0x310c0062
  saved "narrow, folded", 15, 0x310c0062
  ret

# Accesses that share a look at their page, with an index that is read again behind them.
indexed:
  set_out
  mov r10d, POINTER
  mov r14d, 1
1:
  mov rdx, r9
  mov [r10 + r9 * 8 + 8], rdx
  mov [r10 + r9 * 8], r14
  add rdx, [r10 + r9 * 8 + 8]
  lea r11, [r9 + rdx]
  mov [rbx * 8 + r10 + 64], r11
  add r15, r11
  xor r15, [r10 + rbx * 8 + 64]
  add r15, [r10 + r9 * 8]
.irp used, rbx, rbp, rsi, rdi, r8, r12, r13
  .rept 8
  mov \used, \used
  .endr
.endr
  add r9, 1
  and r9, 3
  dec ecx
  jnz 1b
  save_registers
  saved "indexed", 9, 0
  saved "indexed", 10, POINTER
  saved "indexed", 11, 9
  saved "indexed", 14, 1
  check_memory "indexed: the first", [POINTER], 1
  check_memory "indexed: the last", [POINTER + 32], 3
  rest_is_old "indexed"
  ret
