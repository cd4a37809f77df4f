# Loops that go to one page all the time, entered again after something about the page has changed: where it is, what
# is allowed, what it holds. Engines may keep what they know of it from round to round. 64-bit mode.
# SDM volume 3, "Invalidation of TLBs and Paging-Structure Caches", "Accessed and Dirty Flags", "Access Rights".

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000               # page table for the 2 MiB at PAGE, and at ALIAS
.set PAGE, 0x40000000           # linear address of two pages
.set ALIAS, PAGE + 0x2000000    # the same ones
.set LARGE_PAGE, PAGE + 0x2200000
.set FRAME, 0x300000            # what they map: neighbours are none in memory
.set FRAME2, 0x302000
.set OTHER, 0x304000
.set LARGE_FRAME, 0x400000
.set LARGE_OTHER, 0x600000
.set DIRECTORY, PML4 + 0x3000
.set PLACE, 0x100
.set ROUNDS, 60

use16
main:
  enter_long
  mov dword ptr [DIRECTORY], PT + P + W + U
  mov dword ptr [DIRECTORY + 16 * 8], PT + P + W + U
  mov dword ptr [DIRECTORY + 17 * 8], LARGE_FRAME + P + W + LARGE
  mov dword ptr [PT + 8], FRAME2 + P + W
  mov dword ptr [FRAME + PLACE], 1
  mov dword ptr [OTHER + PLACE], 1000
  mov dword ptr [LARGE_FRAME + PLACE], 2
  mov dword ptr [LARGE_OTHER + PLACE], 2000
  mov r8d, PAGE
  lea rbx, [r8 + PLACE]
  call mapped_elsewhere
  call large
  call rights
  call dirty
  call ends
  call becomes_code
  call not_canonical
  call user_access
  call invpcid_ways
  finish

# EAX: ROUNDS times what is at RBX.
reads:
  xor eax, eax
  mov ecx, ROUNDS
1:
  add eax, [rbx]
read:
  jmp 2f
2:
  dec ecx
  jnz 1b
  ret

# RAX at RBX, ROUNDS times.
writes:
  mov ecx, ROUNDS
1:
write:
  mov [rbx], rax
  jmp 2f
2:
  dec ecx
  jnz 1b
  ret

# Counts at RBX to ROUNDS and further, and at the place behind.
counts:
  mov ecx, ROUNDS
1:
count:
  inc dword ptr [rbx]
  jmp 2f
2:
  add dword ptr [rbx + 8], 2
  dec ecx
  jnz 1b
  ret

.macro entry value
  mov dword ptr [PT], \value
  invlpg [r8]
.endm

# The page is read, goes elsewhere, `how` tells the processor.
.macro elsewhere name, how:vararg
  entry FRAME+P+W
  call reads
  check "\name: before", eax, ROUNDS
  mov dword ptr [PT], OTHER+P+W
  \how
  call reads
  check "\name: behind", eax, ROUNDS*1000
.endm

# Another page takes its place in a TLB of a way or more.
.macro push_out
  add rbx, ALIAS - PAGE
  call reads
  sub rbx, ALIAS - PAGE
.endm

.macro invalidate type
  mov edx, \type
  invpcid rdx, [descriptor]
.endm

mapped_elsewhere:
  elsewhere "INVLPG", invlpg [rbx]
  mov rdx, cr3
  elsewhere "MOV to CR3", mov cr3, rdx
  entry FRAME+P+W
  call reads
  push_out
  mov dword ptr [PT], OTHER+P+W
  invlpg [rbx]
  call reads
  check "INVLPG of a page that another one pushed out", eax, ROUNDS*1000
  entry FRAME+P+W
  call reads
  mov dword ptr [PT], OTHER+P+W
  push_out
  invlpg [rbx]
  call reads
  check "pushed out before INVLPG", eax, ROUNDS*1000
  entry FRAME+P+W
  call reads
  check "mapped back", eax, ROUNDS
  ret

invpcid_ways:
  elsewhere "INVPCID by address", invalidate 0
  elsewhere "INVPCID by context", invalidate 1
  elsewhere "INVPCID of all", invalidate 2
  elsewhere "INVPCID of all but global", invalidate 3
  ret

# By any of its addresses.
large:
  add rbx, LARGE_PAGE - PAGE
  call reads
  check "large page", eax, ROUNDS*2
  mov dword ptr [DIRECTORY + 17 * 8], LARGE_OTHER + P + W + LARGE
  lea rdx, [rbx + 0x54321]
  invlpg [rdx]
  call reads
  check "INVLPG elsewhere in a large page", eax, ROUNDS*2000
  sub rbx, LARGE_PAGE - PAGE
  ret

rights:
  set_bits cr0, CR0_WP
  entry FRAME+P+W
  mov eax, 1
  call writes
  call reads
  entry FRAME+P
  call reads
  check "read-only page is read", eax, ROUNDS
  mov eax, 7
  arm 1f, write
  call writes
1:
  fault_result "store to it", V_PF, E_P+E_W
  check "in the first round", ecx, ROUNDS
  arm 1f, count
  call counts
1:
  fault_result "addition to it", V_PF, E_P+E_W
  check_memory "nothing was stored", FRAME+PLACE, 1
  clear_bits cr0, CR0_WP
  call writes
  set_bits cr0, CR0_WP
  arm 1f, write
  call writes
1:
  fault_result "store with WP again", V_PF, E_P+E_W
  clear_bits cr0, CR0_WP
  entry FRAME+P+W
  mov eax, 1
  call writes
  ret

.macro check_bits name, want
  mov edx, [PT]
  and edx, A + D
  check "\name", edx, \want
.endm

dirty:
  entry FRAME+P+W
  call reads
  check_bits "reads leave the page clean", A
  mov eax, 1
  call writes
  check_bits "stores make it dirty", A+D
  entry FRAME+P+W
  call writes
  check_bits "and again", A+D
  entry FRAME+P+W
  call reads
  mov dword ptr [FRAME + PLACE + 8], 0
  call counts
  check_bits "so do additions", A+D
  check_memory "first sum", FRAME+PLACE, ROUNDS+1
  check_memory "second sum", FRAME+PLACE+8, ROUNDS*2
  mov eax, 1
  call writes
  ret

# In turns on the second page and across the end of the first.
ends:
  mov dword ptr [FRAME + 0xffc], 0
  mov dword ptr [FRAME + 0x1000], 0
  mov dword ptr [FRAME2 - 4], 0
  mov ecx, ROUNDS
  xor eax, eax
  lea rdi, [r8 + 0x1000]
1:
  imul edx, ecx, 0x10001
  mov [rdi], edx
  jmp 2f
2:
  add eax, [rdi]
  xor edi, 0x1000 ^ 0xffe
  dec ecx
  jnz 1b
  check "sum across the end of a page", eax, ROUNDS*(ROUNDS+1)/2*0x10001
  check_memory "end of the first page", FRAME+0xffc, 0x10000
  check_memory "start of the second", FRAME2, 0x20001
  check_memory "behind the first in memory", FRAME+0x1000, 0
  check_memory "before the second in memory", FRAME2-4, 0
  ret

# MOV EAX, imm32; RET as a quadword.
.macro function value
  movabs rax, 0xc300000000b8 + (\value << 8)
.endm

becomes_code:
  mov r13d, 3
.Lround:
  function 0x1111
  call writes
  call rbx
  check "what a loop stored", eax, 0x1111
  function 0x2222
  call writes
  call rbx
  check "stored over code", eax, 0x2222
  # By another address than that of the stores.
  function 0x3333
  call writes
  lea rdx, [rbx + ALIAS - PAGE]
  call rdx
  check "code of another address", eax, 0x3333
  function 0x4444
  call writes
  lea rdx, [rbx + ALIAS - PAGE]
  call rdx
  check "stored over that", eax, 0x4444
  dec r13d
  jnz .Lround
  mov eax, 1
  call writes
  ret

not_canonical:
  call reads
  mov rsi, rbx
  movabs rbx, 0x8000000000000000
  arm 1f, 2f
2:
  mov eax, [rbx]
1:
  fault_result "address that is not canonical", V_GP, 0
  mov rbx, rsi
  ret

# Supervisor pages for the runtime, since SMAP forbids others.
user_access:
  mov eax, PML4 + 0x2000
  mov ecx, 512
1:
  and dword ptr [rax], ~U
  add eax, 8
  dec ecx
  jnz 1b
  mov dword ptr [PT], FRAME + P + W + U
  mov rax, cr3
  mov cr3, rax
  set_bits cr4, CR4_SMAP
  mov r13d, 3
.Laccess:
  stac
  mov eax, r13d
  call writes
  call reads
  clac
  imul edx, r13d, ROUNDS
  sub eax, edx
  check "user page with AC", eax, 0
  arm 1f, write
  call writes
1:
  fault_result "store without AC", V_PF, E_P+E_W
  check "in the first round", ecx, ROUNDS
  dec r13d
  jnz .Laccess
  clear_bits cr4, CR4_SMAP
  ret

.data
.balign 8
descriptor: .quad 0, PAGE
