# Bits in memory, exchanges, bytes in reverse order and AH..BH with memory, at the edge of a page behind which there is
# none: what faults has changed nothing. Each in a loop, so that it is run before and after translation. 64-bit mode.
# SDM volume 1, "Bit and Byte Instructions", "Exchange Instructions"; volume 2, "BT", "CMPXCHG8B/CMPXCHG16B", "MOVBE".

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000
.set PAGES, 0x40000000          # two pages; the one in front of them and the one behind are not there
.set EDGE, PAGES + 0x2000
.set FRAME, 0x300000
.set FAR, 0x7f000000
.set FS_BASE, 0xc0000100
.set GS_BASE, 0xc0000101
.set ROUNDS, 20

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PML4 + 0x2000 + 511 * 8], 0
  mov dword ptr [PT], FRAME + P + W + U
  mov dword ptr [PT + 8], FRAME + 0x1000 + P + W + U
  mov dword ptr [PT + 16], 0
  mov rax, cr3
  mov cr3, rax
  call bit_strings
  call bits_out_of_bounds
  call segment_bases
  call wide_exchanges
  call exchanges
  call big_endian
  call high_bytes
  finish

# Sets each 37th of 8192 bits around RBX, counts those that had been set, clears each second and complements all.
bit_strings:
  mov ebx, PAGES + 0x1000
  mov r9, -4096
  xor esi, esi
  mov ecx, 3 * 222
1:
  bts [rbx], r9
  adc esi, 0
  add r9, 37
  cmp r9, 4096
  jl 2f
  mov r9, -4096
2:
  dec ecx
  jnz 1b
  check "bits found set", esi, 2*222
  mov eax, -4096
1:
  btr dword ptr [rbx], eax
  add eax, 2 * 37
  cmp eax, 4096
  jl 1b
  mov ax, -4096
  xor esi, esi
  xor edi, edi
1:
  btc word ptr [rbx], ax
  adc esi, 0
  bt [rbx], ax
  adc edi, 0
  add ax, 37
  cmp ax, 4096
  jl 1b
  check "bits set before", esi, 111
  check "bits set after", edi, 111
  xor esi, esi
  xor ecx, ecx
1:
  popcnt eax, dword ptr [rbx + rcx - 512]
  add esi, eax
  add ecx, 4
  cmp ecx, 1024
  jne 1b
  check "bits in memory", esi, 111
  bt dword ptr [rbx - 512], 0
  sbb eax, eax
  check "the first one", eax, -1
  ret

# In front of the first page and behind the last one.
bits_out_of_bounds:
  mov r14d, ROUNDS
1:
  mov ebx, PAGES + 0x1000
  mov eax, -0x1000 * 8 - 1
  mov rcx, 0x1000 * 8
  stc
  faults "bit in front of the page", V_PF, E_W, bts [rbx], eax
  mov rdx, cr2
  check "where the doubleword is", edx, PAGES-4
  faults "bit behind the page", V_PF, 0, bt [rbx], rcx
  mov rdx, cr2
  check "where the quadword is", edx, EDGE
  dec r14d
  jnz 1b
  ret

# A base far from the code: as a kernel's per-CPU variables are.
segment_bases:
  write_msr FS_BASE, PAGES+0x100
  mov rax, PAGES + 0x40 - FAR
  sub rax, offset far_away
  mov rdx, rax
  shr rdx, 32
  mov ecx, GS_BASE
  wrmsr
  mov dword ptr [PAGES + 0x40], 7
  mov r14d, ROUNDS
1:
  inc dword ptr gs:[rip + FAR]
far_away:
  mov eax, 64
  bts fs:[0], eax
  adc esi, 0
  btc dword ptr fs:[8], 1
  mov eax, fs:[8]
  dec r14d
  jnz 1b
  check_memory "far from the code", PAGES + 0x40, 7 + ROUNDS
  check_memory "behind FS", PAGES + 0x108, 1
  write_msr GS_BASE, 0
  write_msr FS_BASE, 0
  ret

wide_exchanges:
  mov r14d, ROUNDS
  mov edi, EDGE - 0x10
  xor eax, eax
  mov [rdi], rax
  mov [rdi + 8], rax
1:
  mov rax, [rdi]
  mov rdx, [rdi + 8]
  lea rbx, [rax + 1]
  lea rcx, [rdx - 1]
  lock cmpxchg16b [rdi]
  setz r8b
  mov rbp, rdx
  cmpxchg16b [rdi]
  setnz r9b
  and r8b, r9b
  check "equal, then not", r8d, 1
  faults "16 bytes not aligned", V_GP, 0, cmpxchg16b [rdi - 8]
  mov rax, [rdi - 3]
  mov rdx, rax
  shr rdx, 32
  mov ebx, eax
  mov ecx, edx
  stc
  cmpxchg8b [rdi - 3]
  setz r8b
  setc r9b
  and r8b, r9b
  check "8 bytes anywhere", r8d, 1
  faults "8 bytes across the edge", V_PF, E_W, cmpxchg8b [rdi + 12]
  faults "16 bytes behind the edge", V_PF, E_W, cmpxchg16b [rdi + 16]
  dec r14d
  jnz 1b
  check_memory "counted up", EDGE-0x10, ROUNDS
  check_memory "counted down", EDGE-8, -ROUNDS
  ret

# A page that is read only.
exchanges:
  mov dword ptr [PT + 8], FRAME + 0x1000 + P + W
  set_bits cr0, CR0_WP
  mov r14d, ROUNDS
  mov edi, EDGE - 8
  mov r9, -1
  mov rsi, -1
1:
  mov qword ptr [rdi], 0x11223344
  xchg [rdi], r9
  xchg [rdi], r9w
  xchg r9d, [rdi + 4]
  xchg [rdi], sil
  and dword ptr [PT + 8], ~W
  invlpg [rdi]
  mov eax, 5
  faults "exchange with what is read only", V_PF, E_P + E_W, xchg [rdi], eax
  check "has changed nothing", eax, 5
  faults "nor a comparison", V_PF, E_P + E_W, cmpxchg16b [rdi - 8]
  or dword ptr [PT + 8], W
  invlpg [rdi]
  dec r14d
  jnz 1b
  check_memory "lower half", EDGE-8, 0x3344
  check_memory "upper half", EDGE-4, 0x11220000
  mov eax, esi
  check "last byte", eax, 0xffffff44
  ret

big_endian:
  mov ebx, EDGE - 8
  mov rax, 0x0102030405060708
  mov r14d, ROUNDS
1:
  movbe [rbx], rax
  mov r10, -1
  movbe r10w, [rbx + 6]
  mov r9, -1
  movbe r9d, [rbx + 4]
  movbe rcx, [rbx]
  stc
  movbe [rbx], cx
  sbb edx, edx
  mov r8, r10
  faults "across the edge", V_PF, 0, movbe r8d, [rbx + 5]
  dec r14d
  jnz 1b
  check "loaded back", ecx, 0x05060708
  check "stored", edx, -1
  mov rdx, r9
  shr rdx, 32
  check "upper half cleared", edx, 0
  mov eax, r9d
  check "half", eax, 0x05060708
  mov rax, r10
  check "two bytes", eax, 0xffff0708
  check_memory "reversed", EDGE-8, 0x04030807
  ret

high_bytes:
  mov ebx, EDGE - 4
  mov dword ptr [rbx], 0x44332211
  mov rcx, 0x1122334455667788
  mov r14d, ROUNDS
1:
  mov ch, [rbx + 1]
  mov [rbx + 3], ch
  movzx edx, ch
  movsx si, cl
  cmp ch, dl
  sete ah
  add dh, ch
  adc dl, dh
  mov ch, 7
  xchg ch, cl
  neg ch
  not cl
  xadd ah, al
  shl ah, 1
  faults "AH behind the edge", V_PF, 0, mov ah, [rbx + 4]
  faults "to there", V_PF, E_W, mov [rbx + 4], bh
  mov rdi, rcx
  mov cl, 0x88
  dec r14d
  jnz 1b
  check_memory "bytes", EDGE-4, 0x22332211
  check "RCX", edi, 0x556678f8
  shr rdi, 32
  check "upper half", edi, 0x11223344
  check "sum", edx, 0x2244
  ret
