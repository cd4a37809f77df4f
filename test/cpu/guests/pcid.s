# Process-context identifiers: what each address space sees after every kind of switch and invalidation, as
# data, as code of level 0 and as code of level 3. SDM volume 3, "Process-Context Identifiers (PCIDs)",
# "Operations that Invalidate TLBs and Paging-Structure Caches".
#
# Two sets of tables differ in one 4-KiB page at WINDOW. Each frame that it may map holds a number and two
# functions that tell it.

.include "lib.inc"

.set PT_A, 0x110000
.set PML4_B, 0x120000           # PDPT, directory and table follow
.set PT_B, PML4_B + 0x3000
.set WINDOW, 0x40000000
.set FRAMES, 0x300000
.set GLOBAL, 0x100
.set RIGHTS, 7                  # present, writable, user
.set PCID_A, 1
.set PCID_B, 2
.set KERNEL_CODE, 0x10
.set USER_CODE, 0x20
.set ROUNDS, 40                 # enough for each engine to take a block for hot

# Where a PTE leads: `frame` is 1, 2 or 3, and what it tells is 0x11111111 times that.
.macro maps table, frame, flags=0
  mov qword ptr [\table], FRAMES + \frame * 0x1000 + RIGHTS + \flags
.endm

# Loads CR3; `keep` of 1 asks for the TLB entries to be kept.
.macro switch root, pcid, keep
  movabs rax, (\keep << 63) + \root + \pcid
  mov cr3, rax
.endm

# Counts in R12D how often data, level 0 or level 3 see another frame than number `frame`.
.macro expect frame
  mov edx, 0x11111111 * \frame
  call look
.endm

.macro looked name
  check "\name", r12d, 0
  xor r12d, r12d
.endm

.macro invalidate type, pcid
  mov dword ptr [descriptor_pcid], \pcid
  mov eax, \type
  invpcid rax, [descriptor_pcid]
.endm

use16
main:
  enter_long
  call make_tables
  call make_frames
  xor r12d, r12d
  set_bits cr4, CR4_PCIDE
  mov r13d, ROUNDS
1:
  call switches
  dec r13d
  jnz 1b
  looked "each address space sees its own page after switches that keep"
  call flushes
  call recycled
  call globals
  clear_bits cr4, CR4_PCIDE
  finish

make_tables:
  mov dword ptr [PML4 + 0x3000], PT_A + RIGHTS
  mov esi, PML4
  mov edi, PML4_B
  mov ecx, 0x2000 / 8
  cld
  rep movsq
  mov dword ptr [PML4_B], PML4_B + 0x1000 + RIGHTS
  mov dword ptr [PML4_B + 0x1008], PML4_B + 0x2000 + RIGHTS
  mov dword ptr [PML4_B + 0x2000], PT_B + RIGHTS
  mov rax, cr3
  mov cr3, rax
  ret

make_frames:
  mov ebx, 1
1:
  mov edi, ebx
  shl edi, 12
  add edi, FRAMES
  imul eax, ebx, 0x11111111
  mov [rdi], eax
  mov byte ptr [rdi + KERNEL_CODE], 0xb8        # mov eax, number; ret
  mov [rdi + KERNEL_CODE + 1], eax
  mov byte ptr [rdi + KERNEL_CODE + 5], 0xc3
  mov byte ptr [rdi + USER_CODE], 0xb8          # mov eax, number; mov [rbp], eax; int SYSTEM_CALL
  mov [rdi + USER_CODE + 1], eax
  mov dword ptr [rdi + USER_CODE + 5], 0xcd004589
  mov byte ptr [rdi + USER_CODE + 9], SYSTEM_CALL
  inc ebx
  cmp ebx, 4
  jb 1b
  ret

look:
  cmp [WINDOW], edx
  je 1f
  inc r12d
1:
  mov eax, WINDOW + KERNEL_CODE
  call rax
  cmp eax, edx
  je 1f
  inc r12d
1:
  mov ebp, offset told
  mov dword ptr [rbp], 0
  arm 1f, 1f
  enter_user WINDOW+USER_CODE
1:
  mov dword ptr [resume], offset unexpected64
  cmp [told], edx
  je 1f
  inc r12d
1:
  ret

switches:
  maps PT_A, 1
  maps PT_B, 2
  switch PML4, PCID_A, 0
  expect 1
  switch PML4_B, PCID_B, 0
  expect 2
  switch PML4, PCID_A, 1
  expect 1
  switch PML4_B, PCID_B, 1
  expect 2
  ret

# Every way to have the page of address space A forgotten, from within and from B.
.macro forgets name, home, how:vararg
  maps PT_A, 1
  switch PML4, PCID_A, 0
  expect 1
  .if \home == PCID_B
  switch PML4_B, PCID_B, 1
  .endif
  maps PT_A, 3
  \how
  .if \home == PCID_B
  switch PML4, PCID_A, 1
  .endif
  expect 3
  looked "\name"
.endm

# Code of level 3 that is hot, behind an entry that does not let it run any more.
.macro refuses name, entry, error
  maps PT_A, 1
  switch PML4, PCID_A, 0
  expect 1
  movabs rax, \entry
  mov [PT_A], rax
  switch PML4, PCID_A, 0
  mov ebp, offset told
  arm 1f, WINDOW+USER_CODE
  enter_user WINDOW+USER_CODE
1:
  mov dword ptr [resume], offset unexpected64
  fault_result "\name", V_PF, \error
.endm

flushes:
  mov ebx, WINDOW
  forgets "MOV to CR3", PCID_A, switch PML4, PCID_A, 0
  forgets "INVLPG", PCID_A, invlpg [rbx]
  forgets "INVPCID by address", PCID_A, invalidate 0, PCID_A
  forgets "INVPCID by context", PCID_A, invalidate 1, PCID_A
  forgets "INVPCID of all, global too", PCID_A, invalidate 2, 0
  forgets "INVPCID of all but global", PCID_A, invalidate 3, 0
  forgets "INVPCID by address from elsewhere", PCID_B, invalidate 0, PCID_A
  forgets "INVPCID by context from elsewhere", PCID_B, invalidate 1, PCID_A
  forgets "INVPCID of all from elsewhere", PCID_B, invalidate 2, 0
  forgets "INVPCID of all but global from elsewhere", PCID_B, invalidate 3, 0
  switch PML4_B, PCID_B, 1
  expect 2
  looked "the other address space is what it was"
  refuses "MOV to CR3, and the page is gone", 0, 0x14
  refuses "MOV to CR3, and the page is the supervisor's", FRAMES + 0x1000 + 3, 0x15
  refuses "MOV to CR3, and the page is not to be executed", (1 << 63) + FRAMES + 0x1000 + RIGHTS, 0x15
  ret

# More identifiers than any processor keeps apart.
recycled:
  maps PT_A, 1
  mov r13d, 3
.Lround:
  mov r14d, 64
.Lnext:
  lea eax, [r14 + PML4]
  mov cr3, rax
  expect 1
  lea eax, [r14 + PML4_B + 64]
  mov cr3, rax
  expect 2
  dec r14d
  jnz .Lnext
  dec r13d
  jnz .Lround
  looked "128 address spaces"
  switch PML4, PCID_A, 0
  ret

# INVLPG reaches the global pages of every address space.
globals:
  set_bits cr4, CR4_PGE
  maps PT_A, 1, GLOBAL
  maps PT_B, 1, GLOBAL
  switch PML4_B, PCID_B, 0
  expect 1
  switch PML4, PCID_A, 0
  expect 1
  maps PT_A, 2, GLOBAL
  maps PT_B, 2, GLOBAL
  invlpg [rbx]
  expect 2
  switch PML4_B, PCID_B, 1
  expect 2
  looked "INVLPG of a global page"
  maps PT_A, 3, GLOBAL
  maps PT_B, 3, GLOBAL
  invalidate 2, 0
  expect 3
  switch PML4, PCID_A, 1
  expect 3
  looked "INVPCID of all, global too, reaches global pages"
  clear_bits cr4, CR4_PGE
  switch PML4, 0, 0
  ret

.data
.balign 8
descriptor_pcid: .quad 0, WINDOW
told: .long 0
