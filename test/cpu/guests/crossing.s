# Instructions on two pages that are hot by the time either page is written or mapped anew. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

.set FIRST, 0x400000            # frames, neighbours in linear memory only
.set SECOND, 0x402000
.set OTHER, 0x404000
.set DATA, 0x406000
.set OPERAND, 0x40010000        # linear: a page of data; two of code are at NAME
.set AT, EDGE - 2               # where the instruction on both pages begins
.set TIMES, 200

# Copies the code called `name`, so that what it calls `across` is at AT. RBX: where it begins.
.macro place name
  mov esi, offset \name
  mov edi, AT - (\name\()_across - \name)
  mov ecx, \name\()_end - \name
  mov ebx, edi
  rep movsb
.endm

use16
main:
  enter_long
  open_edge FIRST, SECOND
  map_anew OPERAND, DATA
  call immediate
  call writes_itself
  call operand
  call calls
  call closes
  call falls
  finish

# ECX: TIMES; calls RBX. The result of all.
run:
  xor eax, eax
  mov ecx, TIMES
  jmp rbx

add_immediate:
1:
add_immediate_across:
  add eax, 0x010203
  dec ecx
  jnz 1b
  ret
add_immediate_end:

immediate:
  place add_immediate
  call run
  check "an immediate on two pages", eax, TIMES*0x010203
  mov byte ptr [SECOND], 3
  call run
  check "the second page is written", eax, TIMES*0x010303
  mov byte ptr [FIRST + 0xfff], 4
  call run
  check "the first page is written", eax, TIMES*0x010304
  # The same with another value behind the edge.
  mov rax, [SECOND]
  mov [OTHER], rax
  mov rax, [SECOND + 8]
  mov [OTHER + 8], rax
  mov byte ptr [OTHER], 7
  xor r12d, r12d
  mov r13d, 20
1:
  map_anew EDGE, OTHER
  call run
  add r12d, eax
  map_anew EDGE, SECOND
  call run
  sub r12d, eax
  dec r13d
  jnz 1b
  check "one second page, then another", r12d, 20*TIMES*0x400
  mov qword ptr [PT + 8], 0
  invlpg [EDGE]
  arm 1f, AT
  call rbx
1:
  fault_result "the second page is gone", V_PF, 0x10
  map_anew EDGE, SECOND
  call run
  check "it is back", eax, TIMES*0x010304
  ret

# The immediate operand, but for its first byte, counts how often the instruction has run.
count_itself:
1:
count_itself_across:
  .byte 0x05                      # ADD EAX, imm32
  .long 0
  inc word ptr [EDGE]
  dec ecx
  jnz 1b
  ret
count_itself_end:

writes_itself:
  place count_itself
  call run
  check "it writes itself", eax, (TIMES*(TIMES - 1)/2)*0x100
  ret

load:
1:
load_across:
  add eax, [rdi + 0x11223344]
  dec ecx
  jnz 1b
  ret
load_end:

operand:
  place load
  mov edi, OPERAND - 0x11223344
  mov dword ptr [DATA], 3
  call run
  check "an operand", eax, TIMES*3
  mov qword ptr [PT + 16*8], 0
  invlpg [OPERAND]
  xor eax, eax
  mov ecx, TIMES
  arm 1f, AT
  call rbx
1:
  fault_result "the operand is gone", V_PF, 0
  check "nothing was added", eax, 0
  map_anew OPERAND, DATA
  call run
  check "the operand is back", eax, TIMES*3
  ret

call_over:
  jmp 2f
3:
  add eax, 2
  ret
2:
call_over_across:
  call 3b
  dec ecx
  jnz 2b
  ret
call_over_end:

calls:
  place call_over
  call run
  check "a call", eax, TIMES*2
  map_anew EDGE, OTHER
  map_anew EDGE, SECOND
  call run
  check "a call after INVLPG", eax, TIMES*2
  ret

close_loop:
  inc eax
  cmp eax, 50
  jz close_loop_across
  dec ecx
close_loop_across:
  .byte 0x0f, 0x85                # JNZ rel32, back to the beginning
  .long close_loop - . - 4
  ret
close_loop_end:

closes:
  place close_loop
  call run
  check "a loop closed by a branch", eax, 50
  mov ecx, 1
  xor eax, eax
  call rbx
  check "left in between", eax, 1
  ret

# From page to page without a branch: NOPs up to the edge and behind it.
falls:
  mov edi, NAME
  mov ecx, 0x2000
  mov al, 0x90
  rep stosb
  mov dword ptr [AT], 0x0003c083       # ADD EAX, 3 on two pages; the NUL is overwritten
  mov byte ptr [AT + 3], 0x90
  mov byte ptr [EDGE + 40], 0xc3
  mov r12d, TIMES
  mov ebx, NAME + 0xfe0
  xor r13d, r13d
1:
  xor eax, eax
  call rbx
  add r13d, eax
  dec r12d
  jnz 1b
  check "falling from page to page", r13d, TIMES*3
  ret
