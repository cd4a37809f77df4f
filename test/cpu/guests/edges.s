# Vector operands across two pages that are neighbours in linear memory only: at each distance from the edge, alone and in
# rows, with a page that is missing, with code behind the edge, with one page on both sides. 64-bit mode.

.include "lib.inc"
.include "pages.inc"
.include "frames.inc"

.set FRAMES, 0x400000
.set FROM, NAME + 0x1000        # edges of two pages each
.set TO, NAME + 0x4000
.set NOTHING, NAME + 0x6000     # no page is there
.set REACH, 0x60                # bytes on each side of an edge that are looked at
.set ROUNDS, 20

use16
main:
  enter_long
  open_frames
  map NAME, FRAMES + 0x5000
  map NAME + 0x1000, FRAMES + 0x1000
  map NAME + 0x3000, FRAMES + 0x4000
  map NAME + 0x4000, FRAMES
  map NAME + 0x5000, FRAMES + 0x3000
  mov rax, cr3
  mov cr3, rax
  set_bits cr4, CR4_OSFXSR
  call fill
  call sse
  mov eax, 1
  cpuid
  bt ecx, 28
  jnc 1f
  enable_avx
  call avx
1:
  call absent
  call over_code
  call one_frame
  finish

# No two bytes near the edge of FROM are the same.
fill:
  mov ebx, FROM - REACH
1:
  mov [rbx], bl
  inc ebx
  cmp ebx, FROM + REACH
  jne 1b
  ret

# Zeros near the edge of TO.
clear:
  mov edi, TO - REACH
  xor eax, eax
  mov ecx, 2*REACH
  rep stosb
  ret

# EDX bytes have come from RSI to RDI, and nothing else has changed; what has not is counted in R8.
verify:
  mov ebx, TO - REACH
1:
  xor eax, eax
  mov ecx, ebx
  sub ecx, edi
  cmp ecx, edx
  jae 2f
  mov al, [rsi + rcx]
2:
  cmp al, [rbx]
  je 3f
  inc r8d
3:
  inc ebx
  cmp ebx, TO + REACH
  jne 1b
  ret

# Runs the code at each distance from the edges, forwards there and backwards here.
.macro at_all_distances name, bytes, code1, code2, code3, code4
  xor r8d, r8d
  mov r14d, 0x48
1:
  call clear
  lea esi, [r14 + FROM - 0x50]
  mov edi, TO + 8
  sub edi, r14d
  \code1
  \code2
  \code3
  \code4
  mov edx, \bytes
  call verify
  dec r14d
  jnz 1b
  check "\name", r8d, 0
.endm

sse:
  at_all_distances "MOVDQU", 16, "movdqu xmm3, [rsi]", "movdqu [rdi], xmm3"
  at_all_distances "MOVUPS", 16, "movups xmm9, [rsi]", "movups [rdi], xmm9"
  at_all_distances "MOVQ", 8, "movq xmm1, qword ptr [rsi]", "movq qword ptr [rdi], xmm1"
  at_all_distances "MOVSS", 4, "movss xmm1, dword ptr [rsi]", "movss dword ptr [rdi], xmm1"
  at_all_distances "halves", 16, "movlps xmm1, [rsi]", "movhps xmm1, [rsi + 8]", "movlps [rdi], xmm1", "movhps [rdi + 8], xmm1"
  at_all_distances "four in a row", 64, "call row"
  at_all_distances "behind RSP", 16, "call on_stack"
  at_all_distances "an index", 16, "mov r9d, 16", "movdqu xmm3, [rsi + r9*8 - 128]", "mov r12, rdi", "movdqu [r12 + r9*2 - 32], xmm3"
  mov r14d, ROUNDS
1:
  mov eax, FROM - 8
  mov edx, 5
  faults "a load that has to be aligned", V_GP, 0, movaps xmm0, [rax]
  faults "a store that has to be", V_GP, 0, movaps [rax], xmm0
  dec r14d
  jnz 1b
  ret

on_stack:
  mov r12, rsp
  lea rsp, [rsi - 8]
  movdqu xmm3, [rsp + 8]
  lea rsp, [rdi - 8]
  movdqu [rsp + 8], xmm3
  mov rsp, r12
  ret

row:
  movdqu xmm0, [rsi]
  movdqu xmm1, [rsi + 16]
  movdqu xmm2, [rsi + 32]
  movdqu xmm3, [rsi + 48]
  movdqu [rdi], xmm0
  movdqu [rdi + 16], xmm1
  movdqu [rdi + 32], xmm2
  movdqu [rdi + 48], xmm3
  ret

avx:
  at_all_distances "VMOVDQU", 32, "vmovdqu ymm3, [rsi]", "vmovdqu [rdi], ymm3"
  at_all_distances "two in a row", 64, "vmovups ymm3, [rsi]", "vmovups ymm10, [rsi + 32]", "vmovups [rdi], ymm3", "vmovups [rdi + 32], ymm10"
  at_all_distances "an operation", 32, "vpxor ymm3, ymm3, ymm3", "vpor ymm3, ymm3, [rsi]", "vmovdqu [rdi], ymm3"
  at_all_distances "a part", 16, "vmovdqu ymm3, [rsi - 16]", "vextracti128 [rdi], ymm3, 1"
  vzeroupper
  ret

# What faults has written nothing before the edge, and goes through when the page is there.
absent:
  mov r14d, ROUNDS
  xor ebp, ebp
1:
  mov ebx, NOTHING - 9
  mov rax, 0x1122334455667788
  mov [rbx + 1], rax
  faults "a load beyond the last page", V_PF, 0, movdqu xmm0, [rbx]
  faults "a store beyond the last page", V_PF, E_W, movdqu [rbx], xmm0
  mov rcx, cr2
  cmp ecx, NOTHING
  je 2f
  inc ebp
2:
  cmp rax, [rbx + 1]
  je 3f
  inc ebp
3:
  map NOTHING, FRAMES + 0x8000
  movdqu xmm1, [rbx]
  movdqu [rbx - 1], xmm1
  movq rcx, xmm1
  shr rcx, 8
  shl rax, 8
  shr rax, 8
  cmp rax, rcx
  je 4f
  inc ebp
4:
  mov qword ptr [PT + ((NOTHING - NAME) >> 9)], 0
  invlpg [NOTHING]
  dec r14d
  jnz 1b
  check "memory before the edge", ebp, 0
  ret

# The store writes a function behind the edge, which is called.
over_code:
  mov r14d, 10*ROUNDS
  xor ebp, ebp
1:
  mov rax, 0xc300000000b8         # mov eax, 0; ret
  mov ecx, r14d
  shl rcx, 8
  or rax, rcx
  movq xmm1, rax
  pslldq xmm1, 8
  mov edi, TO - 8
  movdqu [rdi], xmm1
  mov ecx, TO
  call rcx
  cmp eax, r14d
  je 2f
  inc ebp
2:
  dec r14d
  jnz 1b
  check "code behind the edge", ebp, 0
  ret

# Its end and its beginning are neighbours.
one_frame:
  map_anew NAME + 0x3000, FRAMES
  mov r14d, ROUNDS
  xor ebp, ebp
1:
  mov edi, TO - 8
  movd xmm1, r14d
  pshufd xmm1, xmm1, 0
  movdqu [rdi], xmm1
  movdqu xmm2, [rdi - 2]
  movdqu [rdi - 1], xmm2
  movdqu xmm2, [rdi - 1]
  movd eax, xmm2
  shr eax, 16
  cmp ax, r14w
  je 2f
  inc ebp
2:
  mov ax, [FRAMES + 0xffb]
  cmp ax, [rdi + 3]
  je 3f
  inc ebp
3:
  mov ax, [FRAMES + 2]
  cmp ax, [rdi + 10]
  je 4f
  inc ebp
4:
  dec r14d
  jnz 1b
  check "one page on both sides", ebp, 0
  ret
