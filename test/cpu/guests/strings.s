# REP MOVS and STOS in loops: overlapping, upwards and downwards, of no element, across pages that are not neighbours in
# memory, up to a page that is not there, through two addresses of one page, over code. STI and RDTSC, which end a block
# as these do. 64-bit mode. SDM volume 1, "Repeated String Operations"; volume 2, "STI", "RDTSC".

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000
.set PAGES, 0x40000000          # three pages, and none behind them
.set EDGE, PAGES + 0x3000
.set FRAMES, 0x300000
.set ROUNDS, 20

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PT], FRAMES + 0x2000 + P + W + U
  mov dword ptr [PT + 8], FRAMES + P + W + U
  mov dword ptr [PT + 16], FRAMES + P + W + U
  mov dword ptr [PT + 24], 0
  mov rax, cr3
  mov cr3, rax
  call fills
  call copies
  call overlaps
  call aliases
  call ends
  call code
  call time
  call not_for_users
  finish

# Each size; the sum of all bytes.
sum:
  xor eax, eax
  xor ebx, ebx
1:
  movzx edx, byte ptr [rsi + rbx]
  add eax, edx
  inc ebx
  cmp ebx, 0x2000
  jne 1b
  ret

fills:
  mov r14d, ROUNDS
1:
  mov edi, PAGES
  xor eax, eax
  mov ecx, 0x400
  rep stosq
  mov edi, PAGES + 3
  movabs rax, 0x0403020104030201
  mov ecx, 5
  rep stosb
  mov ecx, 5
  rep stosw
  mov ecx, 5
  rep stosd
  mov ecx, 5
  rep stosq
  xor ecx, ecx
  rep stosq
  mov r8d, edi
  dec r14d
  jnz 1b
  check "end", r8d, PAGES+3+75
  mov esi, PAGES
  call sum
  check "filled", eax, 5+15+50+100
  ret

copies:
  mov edi, PAGES
  mov eax, 3
  mov ecx, 0x2000
  rep stosb
  mov r14d, ROUNDS
1:
  mov byte ptr [PAGES + 0x7f], r14b
  mov esi, PAGES
  mov edi, PAGES + 0x1010
  mov ecx, 0x80
  rep movsb
  mov ecx, 0x40
  rep movsw
  mov ecx, 0x20
  rep movsd
  mov ecx, 0x10
  rep movsq
  mov esi, PAGES + 0xf01
  mov edi, PAGES + 0x1e00
  mov ecx, 0xff
  rep movsb
  mov r8d, esi
  mov r9d, edi
  dec r14d
  jnz 1b
  check "source", r8d, PAGES+0x1000
  check "target", r9d, PAGES+0x1eff
  mov eax, [PAGES + 0x108c]
  check "what was copied", eax, 0x01030303
  mov esi, PAGES
  call sum
  check "sum", eax, 3*0x2000-2*2
  ret

# A pattern that spreads, and bytes that move down; backwards.
overlaps:
  mov r14d, ROUNDS
1:
  mov dword ptr [PAGES], 0x04030201
  mov esi, PAGES
  mov edi, PAGES + 4
  mov ecx, 0x100
  rep movsb
  mov esi, PAGES + 1
  mov edi, PAGES
  mov ecx, 0x102
  rep movsb
  mov esi, PAGES + 0x200
  mov edi, PAGES + 0x201
  mov ecx, 0x100
  mov byte ptr [rsi], 9
  std
  rep movsb
  cld
  mov r8d, edi
  dec r14d
  jnz 1b
  check_memory "spread, and one further", PAGES+0xfc, 0x01040302
  check_memory "backwards", PAGES+0x1fe, 0x09030303
  check "where it ends", r8d, PAGES+0x101
  ret

# The second and the third page are one.
aliases:
  mov r14d, ROUNDS
1:
  mov dword ptr [PAGES + 0x2100], 0x44434241
  mov esi, PAGES + 0x1100
  mov edi, PAGES + 0x2104
  mov ecx, 0x40
  rep movsb
  dec r14d
  jnz 1b
  check_memory "spread through the other address", PAGES+0x1140, 0x44434241
  ret

# As far as there is a page.
ends:
  mov r14d, ROUNDS
1:
  mov edi, EDGE - 0x18
  mov ecx, 5
  mov eax, r14d
  faults "behind the edge", V_PF, E_W, rep stosq
  mov r8d, ecx
  mov r9d, edi
  mov esi, EDGE - 3
  mov edi, PAGES
  mov ecx, 4
  faults "from behind the edge", V_PF, 0, rep movsb
  mov r10d, ecx
  xor ecx, ecx
  mov edi, EDGE
  rep stosd
  mov rcx, 1 << 62
  mov edi, EDGE - 8
  faults "more than there can be", V_PF, E_W, rep stosq
  mov rdx, rcx
  dec r14d
  jnz 1b
  check "left to do", r8d, 2
  check "where", r9d, EDGE
  mov eax, r10d
  check "bytes left", eax, 1
  inc rdx
  check64 "quadwords left", rdx, 1<<62
  ret

# Patched by REP MOVSB, and run.
code:
  mov r14d, ROUNDS
  xor ebx, ebx
1:
  lea esi, [r14 + 100]
  mov dword ptr [PAGES], esi
  mov esi, PAGES
  mov edi, offset patched + 1
  mov ecx, 4
  rep movsb
patched:
  mov eax, 0
  add ebx, eax
  dec r14d
  jnz 1b
  check "what was patched in", ebx, 100*ROUNDS+ROUNDS*(ROUNDS+1)/2
  ret

# The TSC does not go back.
time:
  mov r14d, 50000
  xor ebx, ebx
  xor ebp, ebp
1:
  rdtsc
  shl rdx, 32
  add rdx, rax
  cmp rdx, rbx
  adc ebp, 0
  mov rbx, rdx
  dec r14d
  jnz 1b
  check "times that it went back", ebp, 0
  ret

# STI and RDTSC where they are not allowed, and where they are.
not_for_users:
  mov r14d, ROUNDS
  set_bits cr4, CR4_TSD
  xor ebp, ebp
1:
  cli
  rdtsc
  shl rdx, 32
  lea rbx, [rdx + rax]
  sti
  nop
  rdtsc
  shl rdx, 32
  add rdx, rax
  cmp rbx, rdx
  adc ebp, 0
  cli
  user_faults "STI", V_GP, 0, sti
  user_faults "RDTSC", V_GP, 0, rdtsc
  dec r14d
  jnz 1b
  check "time goes on", ebp, ROUNDS
  clear_bits cr4, CR4_TSD
  user_traps "RDTSC without CR4.TSD", SYSTEM_CALL, 0, rdtsc
  ret
