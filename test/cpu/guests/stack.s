# Accesses to the stack that engines make through what they know of its page: the page is mapped elsewhere, loses rights,
# becomes code, is watched; accesses across its ends, alone and close to others. Loops whose passes all go to the same
# addresses, or nearly. 64-bit mode.
# SDM volume 3, "Invalidation of TLBs and Paging-Structure Caches", "Access Rights"; volume 1, "Canonical Addressing".

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000               # page table for the 2 MiB at PAGE
.set PAGE, 0x40000000           # linear address of three pages; the last is absent
.set FRAME, 0x300000            # what they map, not in order
.set FRAME2, 0x302000
.set OTHER, 0x304000

use16
main:
  enter_long
  # What has no sound stack is handled on another one.
  use_ist1 V_SS, V_PF, V_DB
  set_bits cr4, CR4_OSFXSR
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PT + 8], FRAME2 + P + W
  mov r8d, PAGE
  call plain
  call mapped_elsewhere
  call rights
  call ends
  call not_canonical
  call becomes_code
  call watched
  call loops
  call user_access
  finish

# Maps PAGE, with INVLPG.
.macro entry value
  mov dword ptr [PT], \value
  invlpg [r8]
.endm

# `code` with RSP at `stack`; R12 is lost.
.macro on stack, code:vararg
  mov r12, rsp
  lea rsp, [\stack]
  \code
  mov rsp, r12
.endm

# So often that it is known where the page is.
.macro known stack, code:vararg
  .rept 3
  on \stack, \code
  .endr
.endm

.macro stack_faults name, stack, vector, error, code:vararg
  arm .Lafter\@, .Lat\@
  lea rsp, [\stack]
.Lat\@:
  \code
.Lafter\@:
  fault_result "\name", \vector, \error
.endm

plain:
  entry FRAME+P+W
  mov eax, 0x1111
  known r8+0x800, push rax
  check_memory "push", FRAME+0x7f8, 0x1111
  on r8+0x7f8, pop rcx
  check "pop", ecx, 0x1111
  on r8+0x7f0, mov edx, [rsp+8]
  check "operand behind RSP", edx, 0x1111
  on r8+0x7f0, mov [rsp+17], al
  check_memory "byte behind RSP", FRAME+0x800, 0x1100
  ret

mapped_elsewhere:
  entry FRAME+P+W
  mov eax, 0x2222
  known r8+0x800, push rax
  entry OTHER+P+W
  mov eax, 0x3333
  known r8+0x800, push rax
  check_memory "push behind INVLPG", OTHER+0x7f8, 0x3333
  check_memory "where it was before", FRAME+0x7f8, 0x2222
  mov dword ptr [PT], FRAME+P+W
  mov rax, cr3
  mov cr3, rax
  on r8+0x7f8, pop rcx
  check "pop behind MOV to CR3", ecx, 0x2222
  # Through another page and back: what is known of one must not be used for the other.
  mov ecx, 100
  xor edx, edx
1:
  on r8+0x800, push rcx
  on r8+0x1800, push rdx
  on r8+0x7f8, pop rax
  add edx, eax
  dec ecx
  jnz 1b
  check "two pages in turns", edx, 5050
  check_memory "the other one", FRAME2+0x7f8, 5049
  ret

rights:
  entry FRAME+P+W
  mov eax, 0x4444
  known r8+0x800, push rax
  set_bits cr0, CR0_WP
  entry FRAME+P
  on r8+0x7f8, pop rcx
  check "pop from a read-only page", ecx, 0x4444
  stack_faults "push to it", r8+0x800, V_PF, E_P+E_W, push rax
  stack_faults "store to it", r8+0x700, V_PF, E_P+E_W, mov [rsp+8], eax
  on r8+0x7f8, pop rcx
  check "pop after that", ecx, 0x4444
  clear_bits cr0, CR0_WP
  entry FRAME+P+W
  mov eax, 0x5555
  known r8+0x800, push rax
  entry 0
  stack_faults "pop from an absent page", r8+0x7f8, V_PF, 0, pop rcx
  stack_faults "call there", r8+0x800, V_PF, E_W, call plain
  entry FRAME+P+W
  check_memory "nothing was stored", FRAME+0x7f8, 0x5555
  ret

# Pages that are neighbours are none in memory.
ends:
  entry FRAME+P+W
  movabs rax, 0x1122334455667788
  on r8+0x1004, push rax
  check_memory "push across pages, first half", FRAME+0xffc, 0x55667788
  check_memory "second half", FRAME2, 0x11223344
  on r8+0xffc, pop rcx
  shr rcx, 32
  check "pop across pages", ecx, 0x11223344
  on r8+0xff8, movups xmm0, [rsp]
  # Several at once, of which some lie on either page.
  mov eax, 1
  mov ecx, 2
  mov edx, 3
  mov r12, rsp
  lea rsp, [r8 + 0x1010]
  push rax
  push rcx
  push rdx
  push rax
  mov esi, [rsp + 8]
  mov edi, [rsp + 24]
  mov rsp, r12
  check "group across pages: on the first", esi, 3
  check "on the second", edi, 1
  check_memory "memory of the first", FRAME+0xff8, 3
  check_memory "memory of the second", FRAME2, 2
  # Its last bytes are those of the page, then one more.
  on r8+0xff8, pop rcx
  check "last quadword of a page", ecx, 3
  stack_faults "across the end of what is mapped", r8+0x1ffc, V_PF, 0, pop rcx
  mov rax, [last_cr2]
  check "CR2", eax, PAGE+0x2000
  mov eax, 7
  stack_faults "store to the last of several", r8+0x1fb0, V_PF, E_W, mov [rsp+0x50], eax
  arm 1f, 2f
  lea rsp, [r8 + 0x1fb0]
  mov [rsp + 8], eax
2:
  mov [rsp + 0x50], eax
1:
  fault_result "fault of a group's second access", V_PF, E_W
  check_memory "the first was made", FRAME2+0xfb8, 7
  ret

not_canonical:
  known r8+0x800, push rax
  movabs rbx, 0x8000000000000000
  stack_faults "push below the lowest address", rbx+8, V_SS, 0, push rax
  stack_faults "pop at it", rbx, V_SS, 0, pop rcx
  invlpg [r8]
  stack_faults "push, page unknown", rbx+8, V_SS, 0, push rax
  stack_faults "operand, page unknown", rbx-8, V_SS, 0, mov eax, [rsp+8]
  xor ebx, ebx
  stack_faults "push below 0", rbx, V_PF, E_W, push rax
  ret

# MOV EAX, imm32; RET as a quadword.
.macro function value
  movabs rax, 0xc300000000b8 + (\value << 8)
.endm

becomes_code:
  entry FRAME+P+W
  lea rdi, [r8 + 0x7f8]
  mov ecx, 3
1:
  # Nothing but the code's own page is used as a stack in between.
  function 0x1111
  known r8+0x800, push rax
  mov r12, rsp
  lea rsp, [r8 + 0x600]
  call rdi
  mov esi, eax
  function 0x2222
  lea rsp, [r8 + 0x800]
  push rax
  lea rsp, [r8 + 0x600]
  call rdi
  mov rsp, r12
  check "code on the stack", esi, 0x1111
  check "pushed over it", eax, 0x2222
  on r8+0x800, push rcx
  on r8+0x7f8, pop rdx
  check "data pushed over it", edx, ecx
  dec ecx
  jnz 1b
  # By another address than that of its stack.
  mov dword ptr [PT + 16], FRAME+P+W
  function 0x3333
  known r8+0x2400, push rax
  lea rdi, [r8 + 0x3f8]
  call rdi
  check "code of another address", eax, 0x3333
  function 0x4444
  on r8+0x2400, push rax
  call rdi
  check "pushed over that", eax, 0x4444
  mov dword ptr [PT + 16], 0
  lea rax, [r8 + 0x2000]
  invlpg [rax]
  ret

watched:
  entry FRAME+P+W
  known r8+0x800, push rax
  lea rax, [r8 + 0x7f8]
  mov dr0, rax
  mov eax, 0xd0002                              # breakpoint 0: writes of 4 bytes
  mov dr7, rax
  arm 1f, 1f
  lea rsp, [r8 + 0x800]
  push rax
1:
  fault_result "push onto a breakpoint", V_DB, 0
  mov eax, 0x400
  mov dr7, rax
  ret

# A loop of 60 passes, counted down by ECX; EAX begins with 0.
.macro passes
  xor eax, eax
  mov ecx, 60
1:
.endm
.macro again
  dec ecx
  jnz 1b
.endm

# Four bytes at an offset in the page, and the next four, which lie at \second.
.macro two_places name, offset, second
  mov dword ptr [\second], 0
  lea rbx, [r8 + \offset]
  passes
  mov [rbx], ecx
  add eax, [rbx]
  add [rbx+4], eax
  again
  check "\name", eax, 1830
  check_memory "\name: the second", \second, 73810
.endm

loops:
  entry FRAME+P+W
  two_places "two places", 0x100, FRAME+0x104
  two_places "two places on two pages", 0xffc, FRAME2
  passes
  push rcx
  add eax, [rsp]
  pop rdx
  add eax, edx
  again
  check "stack that comes back", eax, 3660
  mov r12, rsp
  lea rsp, [r8 + 0x1008]
  passes
  push rcx
  push rcx
  add eax, [rsp+8]
  pop rdx
  pop rdx
  add eax, edx
  again
  mov rsp, r12
  check "across pages", eax, 3660
  # The address is another one in each pass.
  lea rbx, [r8 + 0xf80]
  passes
  mov [rbx+rcx*4], ecx
  add eax, [rbx+rcx*4]
  again
  check "array across pages", eax, 1830
  check_memory "on the first page", FRAME+0xffc, 31
  check_memory "on the second", FRAME2+4, 33
  lea rbx, [r8 + 0xf80]
  passes
  add rbx, 4
  add eax, [rbx]
  add eax, [rbx+4]
  again
  check "pointer across pages", eax, 3659
  mov dword ptr [FRAME2 + 0x74], 0
  mov dword ptr [counter], 0
  passes
  inc dword ptr [rip + counter]
  add eax, [rip + counter]
  again
  check "behind RIP", eax, 1830
  # Each pass maps the page elsewhere.
  mov dword ptr [FRAME + 0x100], 1
  mov dword ptr [OTHER + 0x100], 1000
  lea rbx, [r8 + 0x100]
  passes
  add eax, [rbx]
  xor dword ptr [PT], FRAME ^ OTHER
  invlpg [rbx]
  add eax, [rbx]
  again
  check "mapped elsewhere in each pass", eax, 60060
  entry 0
  arm 1f, 2f
  xor eax, eax
  mov ecx, 60
2:
  mov [rbx], ecx
  add eax, ecx
  dec ecx
  jnz 2b
1:
  fault_result "absent in the first pass", V_PF, E_W
  entry FRAME+P+W
  ret

user_access:
  supervisor_pages
  mov dword ptr [PT], FRAME + P + W + U
  mov rax, cr3
  mov cr3, rax
  known r8+0x800, push rax
  set_bits cr4, CR4_SMAP
  mov ecx, 3
1:
  stac
  on r8+0x800, push rcx
  clac
  stack_faults "push to a user page without AC", r8+0x800, V_PF, E_P+E_W, push rax
  stac
  on r8+0x7f8, pop rdx
  clac
  check "pop with AC", edx, ecx
  dec ecx
  jnz 1b
  clear_bits cr4, CR4_SMAP
  ret

.data
.balign 4
counter: .long 0
