# Jumps, calls and returns between pages that are hot by the time their mapping, their code or the stack
# changes. 64-bit mode.

.include "lib.inc"
.include "frames.inc"

.set FIRST, 0x400000            # frames: they begin with a jump or a call to the next page
.set SECOND, 0x401000           # and what is there, three times
.set OTHER, 0x402000
.set THIRD, 0x403000
# At NAME a frame of the first kind is mapped, then one of the second.
.set ALIAS, 0x40010000          # the same first frame, another second

use16
main:
  enter_long
  open_frames
  map NAME, FIRST
  map NAME+0x1000, SECOND
  map ALIAS, FIRST
  map ALIAS+0x1000, OTHER
  mov rax, cr3
  mov cr3, rax
  # FIRST: JMP to the next page. FIRST + 16: CALL there, INC EAX, RET.
  mov dword ptr [FIRST], 0x000ffbe9
  mov byte ptr [FIRST + 4], 0
  mov dword ptr [FIRST + 16], 0x000febe8
  mov dword ptr [FIRST + 20], 0xc3c0ff00
  call frames
  call remapped
  call aliases
  call patched
  call returns_to_another_frame
  call returns_to_patched_code
  call stacks
  call to_zero
  call indirect
  call crossing
  finish

# All frames but FIRST: MOV EAX, imm32; RET.
frames:
  mov edi, SECOND
  mov eax, 0x100
1:
  mov byte ptr [rdi], 0xb8
  mov [rdi + 1], eax
  mov byte ptr [rdi + 5], 0xc3
  shl eax, 4
  add edi, 0x1000
  cmp edi, THIRD
  jbe 1b
  ret

# RBX: what to call, 60 times. EDX: the sum of EAX.
call_often:
  mov ecx, 60
  xor edx, edx
1:
  call rbx
  add edx, eax
  dec ecx
  jnz 1b
  ret

remapped:
  mov ebx, NAME
  mov esi, NAME + 0x1000
  call call_often
  check "a jump to the next page", edx, 60*0x100
  map NAME+0x1000, OTHER
  invlpg [rsi]
  call call_often
  check "the next page is another one", edx, 60*0x1000
  map NAME+0x1000, THIRD
  mov rax, cr3
  mov cr3, rax
  mov ebx, NAME + 16
  call call_often
  check "a call to the next page", edx, 60*0x10001
  map NAME+0x1000, SECOND
  invlpg [rsi]
  call call_often
  check "it is another one", edx, 60*0x101
  mov qword ptr [PT + 8], 0
  invlpg [rsi]
  arm 1f, NAME+0x1000
  call rbx
1:
  fault_result "the next page is gone", V_PF, 0x10
  map NAME+0x1000, SECOND
  ret

# One frame at two addresses: what is next depends on the address.
aliases:
  mov ecx, 60
  xor edx, edx
  mov ebx, NAME
  mov esi, ALIAS
1:
  call rbx
  add edx, eax
  call rsi
  add edx, eax
  dec ecx
  jnz 1b
  check "the same jump at two addresses", edx, 60*0x1100
  mov ebx, NAME + 16
  mov esi, ALIAS + 16
  mov ecx, 60
  xor edx, edx
1:
  call rbx
  add edx, eax
  call rsi
  add edx, eax
  dec ecx
  jnz 1b
  check "the same call at two addresses", edx, 60*0x1102
  ret

patched:
  mov ebx, NAME
  mov ecx, 200
  xor edx, edx
1:
  mov dword ptr [SECOND + 1], ecx
  call rbx
  add edx, eax
  call rbx
  add edx, eax
  dec ecx
  jnz 1b
  check "the target changes", edx, 200*201
  mov dword ptr [SECOND + 1], 0x100
  ret

# THIRD: CALL RSI; INC EAX; RET. OTHER: CALL RSI; DEC EAX; RET. RSI maps the other one in its caller's place.
returns_to_another_frame:
  mov dword ptr [THIRD], 0xc0ffd6ff
  mov byte ptr [THIRD + 4], 0xc3
  mov dword ptr [OTHER], 0xc8ffd6ff
  mov byte ptr [OTHER + 4], 0xc3
  map NAME, THIRD
  mov ebx, NAME
  invlpg [rbx]
  mov esi, offset nothing
  call call_often
  check "returns", edx, 60*11
  mov esi, offset exchange
  call call_often
  check "returns to another frame each time", edx, 30*11+30*9
  map NAME, FIRST
  invlpg [rbx]
  ret
nothing:
  mov eax, 10
  ret
exchange:
  xor byte ptr [PT + 1], 0x10                   # THIRD and OTHER differ in bit 12
  invlpg [rbx]
  mov eax, 10
  ret

# The code behind the call is written by who is called.
returns_to_patched_code:
  map NAME, THIRD
  mov ebx, NAME
  invlpg [rbx]
  mov esi, offset patch
  call call_often
  check "returns to code that was just written", edx, 30*11+30*9
  map NAME, FIRST
  invlpg [rbx]
  ret
patch:
  xor byte ptr [THIRD + 3], 8                   # INC EAX or DEC EAX
  mov eax, 10
  ret

# Returns that no call belongs to, calls without a return, more calls than anyone remembers.
stacks:
  mov ecx, 60
  xor edx, edx
1:
  push offset 2f
  ret
  inc edx
2:
  call 3f
  inc edx
3:
  pop rax
  cmp eax, offset 3b - 2
  jne 4f
  add edx, 2
4:
  dec ecx
  jnz 1b
  check "pushed, and popped", edx, 120
  mov ecx, 100
  xor edx, edx
  call down
  check "100 deep", edx, 5050
  mov ebx, 40
1:
  mov ecx, 50
  mov rbp, rsp
  call away
  check_memory "off the stack", depth, 50
  dec ebx
  jnz 1b
  ret
down:
  add edx, ecx
  dec ecx
  jz 1f
  call down
1:
  ret
away:
  mov dword ptr [depth], 50
  dec ecx
  jz 1f
  call away
1:
  lea rsp, [rbp - 8]
  ret
depth: .long 0

# What nobody remembers must not look like a target.
to_zero:
  mov dword ptr [0], 0xe3ffc0ff                 # INC EAX; JMP RBX
  mov ebx, offset 2f
  mov ecx, 60
  xor eax, eax
  xor edx, edx
1:
  push 0
  ret
2:
  mov ebx, offset 3f
  jmp rdx
3:
  mov ebx, offset 2b
  dec ecx
  jnz 1b
  check "returns and jumps to address 0", eax, 120
  mov r12, 1 << 63
  mov r13d, 60
1:
  arm 2f, 3f
  push r12
3:
  ret
2:
  fault_result "returns to an address that is not canonical", V_GP, 0
  dec r13d
  jnz 1b
  ret

# One branch with two targets in turns, one whose target is written all the time, one whose target is mapped anew.
indirect:
  call frames
  mov ebx, SECOND
  mov esi, OTHER
  mov edi, THIRD
  mov ecx, 200
  xor edx, edx
1:
  call rbx
  add edx, eax
  xchg rbx, rsi
  call rdi
  add edx, eax
  xor byte ptr [THIRD + 1], 1
  dec ecx
  jnz 1b
  check "indirect calls whose targets change", edx, 100*0x21101
  mov ebx, NAME
  xor edx, edx
  map NAME, SECOND
  invlpg [rbx]
  call often_through_memory
  map NAME, OTHER
  invlpg [rbx]
  call often_through_memory
  check "a jump through memory whose target is mapped anew", edx, 60*0x1100
  map NAME, FIRST
  invlpg [rbx]
  ret
often_through_memory:
  mov ecx, 60
1:
  call through_memory
  add edx, eax
  dec ecx
  jnz 1b
  ret
through_memory:
  jmp qword ptr [place]
place: .quad NAME

# JMP rel8, whose distance is on the next page: back to one of three times MOV EAX, imm32; RET.
crossing:
  mov edi, FIRST + 0xfd0
  mov eax, 0x10000
1:
  mov byte ptr [rdi], 0xb8
  mov [rdi + 1], eax
  mov byte ptr [rdi + 5], 0xc3
  add edi, 0x10
  shr eax, 8
  jnz 1b
  mov byte ptr [FIRST + 0xfff], 0xeb
  mov byte ptr [SECOND], 0xef
  mov byte ptr [OTHER], 0xdf
  mov ebx, NAME + 0xfff
  mov esi, NAME + 0x1000
  call call_often
  check "an instruction on two pages", edx, 60
  map NAME+0x1000, OTHER
  invlpg [rsi]
  call call_often
  check "the second is another one", edx, 60*0x100
  mov byte ptr [OTHER], 0xcf
  call call_often
  check "the second is written", edx, 60*0x10000
  map NAME+0x1000, SECOND
  invlpg [rsi]
  mov edi, ALIAS + 0xfff
  mov ecx, 60
  xor edx, edx
1:
  call rbx
  add edx, eax
  call rdi
  add edx, eax
  dec ecx
  jnz 1b
  check "the same instruction, once with another second page", edx, 60*0x10001
  mov qword ptr [PT + 8], 0
  invlpg [rsi]
  arm 1f, NAME+0xfff
  call rbx
1:
  fault_result "the second is gone", V_PF, 0x10
  map NAME+0x1000, SECOND
  jmp frames
