# 4-level paging: rights of several levels, A and D bits, reserved bits, large pages, the TLB; sweep-paging64.s has every right.
# SDM volume 3, "4-Level Paging", "Access Rights", "Page-Fault Exceptions", "Caching Translation Information".
#
# The runtime's own pages are made supervisor pages, since SMEP and SMAP forbid their use otherwise.

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000               # page table for the 2 MiB at WINDOW
.set PD2, 0x111000              # a second set of tables, for large pages high up
.set WINDOW, 0x40000000         # linear address of the page under test
.set FRAME, 0x300000            # what it maps
.set USER_CODE, WINDOW + 0x100000
.set USER_CODE_FRAME, 0x301000
.set HIGH, 0x7f8000000000       # linear, by PML4 entry 255

# Sets the entry for WINDOW, and drops what is cached of it.
.macro entry low, high=0
  mov eax, \high
  shl rax, 32
  mov ecx, \low
  or rax, rcx
  mov qword ptr [PT], rax
  mov eax, WINDOW
  invlpg [rax]
.endm

use16
main:
  enter_long
  supervisor_pages
  # The window of 4 KiB pages has its rights in the last level.
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PT + 0x800], USER_CODE_FRAME + P + W + U
  mov dword ptr [PT + 0x808], USER_CODE_FRAME + 0x1000 + P + W + U
  mov rax, cr3
  mov cr3, rax
  mov byte ptr [FRAME], 0xc3                    # RET: the page can be called
  call levels
  call accessed_and_dirty
  call reserved_bits
  call large_pages
  call tlb
  call crossing
  call implicit
  call identifiers
  finish

# Rights are the AND of all levels, NX the OR; the error code says whether any level was absent.
levels:
  set_bits cr0, CR0_WP
  mov edi, WINDOW
  entry FRAME+P+W+U
  mov r11d, PML4 + 0x3000
  .macro at_level name, where, clear, vector, error, code:vararg
  push qword ptr [\where]
  and dword ptr [\where], ~(\clear)
  mov rax, cr3
  mov cr3, rax
  faults "\name", \vector, \error, \code
  pop qword ptr [\where]
  mov rax, cr3
  mov cr3, rax
  .endm
  at_level "write-protected by the directory", PML4+0x3000, W, V_PF, E_P+E_W, mov [rdi], al
  at_level "absent in the directory", PML4+0x3000, P, V_PF, E_W, mov [rdi], al
  at_level "write-protected by the PDPT", PML4+0x1008, W, V_PF, E_P+E_W, mov [rdi], al
  at_level "absent in the PDPT", PML4+0x1008, P, V_PF, 0, mov al, [rdi]
  or byte ptr [PML4 + 0x3007], 0x80
  mov rax, cr3
  mov cr3, rax
  arm 1f, WINDOW
  call rdi
1:
  fault_result "NX in the directory", V_PF, E_P+E_I
  and byte ptr [PML4 + 0x3007], 0x7f
  mov rax, cr3
  mov cr3, rax
  movabs rdi, 0x123400000000
  faults "absent in the PML4", V_PF, 0, mov al, [rdi]
  mov rax, [last_cr2]
  check64 "CR2 has 64 bits", rax, 0x123400000000
  movabs rdi, 0xffff800000000000
  faults "absent in the upper half", V_PF, E_W, add byte ptr [rdi], 1
  clear_bits cr0, CR0_WP
  ret

.macro entry_bits name, want
  mov eax, [PT]
  and eax, A+D
  check "\name", eax, \want
.endm

accessed_and_dirty:
  mov edi, WINDOW
  entry FRAME+P+W
  entry_bits "no access: no bits", 0
  mov al, [rdi]
  entry_bits "read sets A", A
  mov [rdi + 64], al
  entry_bits "write sets D", A+D
  entry FRAME+P+W
  mov [rdi + 64], al
  entry_bits "write alone sets A and D", A+D
  entry FRAME+P+W
  add byte ptr [rdi + 64], 1
  entry_bits "read-modify-write sets A and D", A+D
  entry FRAME+P+W
  call rdi
  entry_bits "fetch sets A", A
  set_bits cr0, CR0_WP
  entry FRAME+P
  faults "write to a read-only page", V_PF, E_P+E_W, mov [rdi], al
  mov eax, [PT]
  and eax, D
  check "a faulting write sets no D", eax, 0
  clear_bits cr0, CR0_WP
  entry FRAME+P
  mov [rdi + 64], al
  entry_bits "supervisor write without WP sets D", A+D
  and dword ptr [PML4 + 0x3000], ~A
  and dword ptr [PML4 + 0x1008], ~A
  and dword ptr [PML4], ~A
  mov rax, cr3
  mov cr3, rax
  mov al, [rdi]
  mov eax, [PML4 + 0x3000]
  and eax, A+D
  check "A in the directory", eax, A
  mov eax, [PML4 + 0x1008]
  and eax, A+D
  check "A in the PDPT", eax, A
  mov eax, [PML4]
  and eax, A+D
  check "A in the PML4", eax, A
  entry FRAME+P+W
  mov eax, 0x12345678
  xor edx, edx
  cmpxchg [rdi + 64], edx
  mov eax, [PT]
  and eax, A
  check "CMPXCHG that fails sets A", eax, A
  ret

reserved_bits:
  mov edi, WINDOW
  entry FRAME+P+W, (1<<19)
  faults "reserved address bit", V_PF, E_P+E_RSVD, mov al, [rdi]
  faults "reserved address bit, write", V_PF, E_P+E_RSVD+E_W, mov [rdi], al
  entry FRAME+W, (1<<19)
  faults "reserved bit of an absent entry", V_PF, 0, mov al, [rdi]
  entry FRAME+P+W, 0x3ff00000-0x3f000000
  faults "ignored bits", NONE, 0, mov al, [rdi]
  push qword ptr [PML4 + 8 * 255]
  mov qword ptr [PML4 + 8 * 255], PD2 + P + W + LARGE
  movabs rbx, HIGH
  faults "PS in the PML4 is reserved", V_PF, E_P+E_RSVD, mov al, [rbx]
  pop qword ptr [PML4 + 8 * 255]
  mov ecx, EFER
  rdmsr
  and eax, ~EFER_NXE
  wrmsr
  entry FRAME+P+W, NX
  faults "NX without NXE is reserved", V_PF, E_P+E_RSVD, mov al, [rdi]
  entry FRAME+P
  set_bits cr4, CR4_SMEP
  entry FRAME+P+U
  arm 1f, WINDOW
  call rdi
1:
  fault_result "SMEP sets I/D even without NXE", V_PF, E_P+E_I
  clear_bits cr4, CR4_SMEP
  entry FRAME
  arm 1f, WINDOW
  call rdi
1:
  fault_result "no I/D without NXE and SMEP", V_PF, 0
  mov ecx, EFER
  rdmsr
  or eax, EFER_NXE
  wrmsr
  mov qword ptr [PML4 + 0x3008], 0x202000 + P + W + LARGE
  mov ebx, WINDOW + 0x200000
  invlpg [rbx]
  faults "reserved bit 13 of a 2 MiB page", V_PF, E_P+E_RSVD, mov al, [rbx]
  mov qword ptr [PML4 + 0x3008], WINDOW + 0x200000 + P + W + LARGE
  ret

large_pages:
  mov dword ptr [FRAME + 0x123], 0x2a2a2a2a
  mov qword ptr [PML4 + 0x3008], 0x200000 + P + W + LARGE
  mov ebx, WINDOW + 0x200000
  invlpg [rbx]
  mov eax, [rbx + 0x100123]
  check "2 MiB page", eax, 0x2a2a2a2a
  mov eax, [PML4 + 0x3008]
  and eax, A+D
  check "A of a 2 MiB page", eax, A
  mov [rbx + 0x100127], al
  mov eax, [PML4 + 0x3008]
  and eax, A+D
  check "D of a 2 MiB page", eax, A+D
  mov qword ptr [PML4 + 8 * 255], PD2 + P + W + U
  mov qword ptr [PD2], P + W + LARGE
  movabs rbx, HIGH
  mov eax, [rbx + FRAME + 0x123]
  check "1 GiB page", eax, 0x2a2a2a2a
  mov eax, [PD2]
  and eax, A+D
  check "A of a 1 GiB page", eax, A
  mov qword ptr [PD2], 0x200000 + P + W + LARGE
  invlpg [rbx]
  faults "reserved bit 21 of a 1 GiB page", V_PF, E_P+E_RSVD, mov al, [rbx]
  mov qword ptr [PD2], 0
  ret

# What stays in the TLB is seen only where the architecture promises a flush; global pages where one is promised not
# to reach them are not observable for certain, so only their flushes are.
tlb:
  mov dword ptr [FRAME], 0x11111111
  mov dword ptr [USER_CODE_FRAME + 0x1000], 0x22222222
  mov edi, WINDOW
  .macro remap name, flags, flush:vararg
  entry FRAME+P+W+\flags
  mov eax, [rdi]
  mov dword ptr [PT], USER_CODE_FRAME + 0x1000 + P + W + \flags
  \flush
  mov eax, [rdi]
  check "\name", eax, 0x22222222
  .endm
  mov r11, cr3
  remap "INVLPG", 0, invlpg [rdi]
  remap "INVLPG of another byte of the page", 0, invlpg [rdi+0xfff]
  remap "MOV to CR3", 0, mov cr3, r11
  mov rbx, cr4
  or ebx, CR4_PGE
  mov cr4, rbx
  remap "INVLPG of a global page", G, invlpg [rdi]
  mov edx, ebx
  and edx, ~CR4_PGE
  remap "clearing PGE", G, mov cr4, rdx
  mov cr4, rbx
  remap "PGE cleared and set", G, .byte 0x0f, 0x22, 0xe2, 0x0f, 0x22, 0xe3  # mov cr4, rdx; mov cr4, rbx
  entry FRAME+P
  mov eax, [rdi]
  or dword ptr [PT], W
  faults "a right that was added counts at once or after one fault", NONE, 0, mov [rdi+64], al
  # Absent entries are not cached.
  entry 0
  faults "absent", V_PF, 0, mov eax, [rdi]
  mov dword ptr [PT], FRAME + P
  mov eax, [rdi]
  check "present without INVLPG", eax, 0x11111111
  clear_bits cr4, CR4_PGE
  ret

# Accesses over two pages: nothing is written when the second page faults, and CR2 is in the second.
crossing:
  mov edi, WINDOW
  mov qword ptr [PT + 8], 0
  entry FRAME+P+W
  mov eax, WINDOW + 0x1000
  invlpg [rax]
  mov dword ptr [rdi + 0xffc], 0
  mov rax, -1
  faults "store over the edge", V_PF, E_W, mov [rdi+0xffc], rax
  check_memory "CR2 is the second page", last_cr2, WINDOW+0x1000
  check_memory "nothing was written", WINDOW+0xffc, 0
  faults "load over the edge", V_PF, 0, mov rax, [rdi+0xffc]
  faults "read-modify-write over the edge", V_PF, E_W, add qword ptr [rdi+0xffd], 1
  mov rbx, rsp
  mov byte ptr [idt + 16 * V_PF + 4], 1
  arm 1f, 2f
  lea rsp, [rdi + 0x1004]
2:
  push rax
1:
  fault_result "PUSH over the edge", V_PF, E_W
  mov byte ptr [idt + 16 * V_PF + 4], 0
  mov rsp, rbx
  # REP stops at the edge with its registers exact.
  lea rdi, [rdi + 0xff0]
  mov ecx, 8
  mov eax, 0x5a5a5a5a
  faults "REP STOSD over the edge", V_PF, E_W, rep stosd
  check "REP STOSD: ECX", ecx, 4
  check "REP STOSD: EDI", edi, WINDOW+0x1000
  mov qword ptr [PT + 8], FRAME + 0x2000 + P + W
  rep stosd
  check "it goes on where it stopped", edi, WINDOW+0x1010
  mov dword ptr [FRAME + 0xffc], 0x44332211
  mov dword ptr [FRAME + 0x2000], 0x88776655
  mov edi, WINDOW
  mov rax, [rdi + 0xffc]
  check64 "load over two frames", rax, 0x8877665544332211
  ret

# Implicit accesses are supervisor ones whatever the CPL, and SMAP counts for them whatever AC is.
implicit:
  faults "selector beyond the table", V_GP, GDT_END+8, mov fs, [implicit_selector]
  mov dword ptr [gdt_pointer_user + 2], WINDOW
  cld
  mov esi, offset gdt
  mov edi, FRAME
  mov ecx, GDT_END
  rep movsb
  entry FRAME+P+W
  lgdt [gdt_pointer_user]
  arm 1f, 1f
  push USER_DATA
  push USER_CODE + 0x1800
  push 2
  push USER_CODE64
  push USER_CODE + 0x40
  mov byte ptr [USER_CODE_FRAME + 0x40], 0x8e   # mov fs, eax
  mov byte ptr [USER_CODE_FRAME + 0x41], 0xe0
  mov byte ptr [USER_CODE_FRAME + 0x42], 0xcd
  mov byte ptr [USER_CODE_FRAME + 0x43], SYSTEM_CALL
  mov eax, USER_DATA
  iretq
1:
  fault_result "user load of a segment reads a supervisor GDT", SYSTEM_CALL, 0
  entry FRAME+P+W+U
  set_bits cr4, CR4_SMAP
  pushfq
  or dword ptr [rsp], FL_AC
  popfq
  lgdt [gdt_pointer]
  descriptor FREE, WINDOW, GDT_END, 0x82, 0
  mov qword ptr [gdt + FREE + 8], 0
  mov eax, FREE
  lldt ax
  mov eax, USER_DATA + 4
  faults "LDT in a user page is #PF under SMAP with AC", V_PF, E_P, mov fs, eax
  push 2
  popfq
  clear_bits cr4, CR4_SMAP
  faults "LDT in a user page without SMAP", NONE, 0, mov fs, eax
  call user_bitmap
  xor eax, eax
  mov fs, eax
  ret

# A TSS whose I/O permission map alone lies in a user page; level 3 reads it with the rights of the supervisor.
.macro user_input name, vector, error
  arm .Lafter\@, USER_CODE+0x40
  push USER_DATA
  push USER_CODE + 0x1800
  push 2 + FL_AC
  push USER_CODE64
  push USER_CODE + 0x40
  iretq
.Lafter\@:
  fault_result "\name", \vector, \error
.endm

user_bitmap:
  cld
  mov esi, offset tss
  mov edi, FRAME + 0xf00
  mov ecx, 104
  rep movsb
  mov word ptr [FRAME + 0xf66], 0x100
  mov edi, FRAME + 0x4000
  mov ecx, 512
  xor eax, eax
  rep stosd
  mov dword ptr [USER_CODE_FRAME + 0x40], 0x80cd80e4  # IN AL, 80H; INT 80H
  entry FRAME+P+W
  mov qword ptr [PT + 8], FRAME + 0x4000 + P + W + U
  mov eax, WINDOW + 0x1000
  invlpg [rax]
  descriptor FREE, WINDOW+0xf00, 0x180, 0x89, 0
  mov qword ptr [gdt + FREE + 8], 0
  mov eax, FREE
  ltr ax
  user_input "an I/O map in a user page without SMAP", SYSTEM_CALL, 0
  set_bits cr4, CR4_SMAP
  user_input "is #PF under SMAP, AC set", V_PF, E_P
  check_memory "CR2 is in the map", last_cr2, WINDOW+0x1010
  clear_bits cr4, CR4_SMAP
  mov byte ptr [gdt + TSS + 5], 0x89
  mov eax, TSS
  ltr ax
  ret

# PCID and INVPCID.
identifiers:
  mov dword ptr [USER_CODE_FRAME + 0x1000], 0x22222222
  mov rbx, 1
  shl rbx, 63
  mov rax, cr3
  or rbx, rax
  faults "CR3 bit 63 without PCIDE is #GP(0)", V_GP, 0, mov cr3, rbx
  set_bits cr4, CR4_PCIDE
  mov edi, WINDOW
  mov r11, cr3
  lea r12, [r11 + 1]
  remap "CR3 load flushes its PCID", 0, mov cr3, r11
  mov rbx, 1
  shl rbx, 63
  or rbx, r11
  faults "CR3 bit 63 with PCIDE", NONE, 0, mov cr3, rbx
  mov rax, cr3
  sub rax, r11
  check64 "bit 63 is not kept", rax, 0
  mov r13d, 2
  remap "INVPCID 2", 0, invpcid r13, [invpcid_all]
  mov r13d, 3
  remap "INVPCID 3", 0, invpcid r13, [invpcid_all]
  mov r13d, 1
  remap "INVPCID 1", 0, invpcid r13, [invpcid_all]
  xor r13d, r13d
  remap "INVPCID 0", 0, invpcid r13, [invpcid_window]
  mov r13d, 4
  faults "INVPCID 4 is #GP(0)", V_GP, 0, invpcid r13, [invpcid_all]
  xor r13d, r13d
  faults "INVPCID 0 of non-canonical is #GP(0)", V_GP, 0, invpcid r13, [invpcid_bad]
  mov r13d, 1
  faults "INVPCID of a reserved descriptor bit is #GP(0)", V_GP, 0, invpcid r13, [invpcid_reserved]
  mov cr3, r12
  mov rax, cr3
  sub rax, r12
  check64 "CR3 holds the PCID", rax, 0
  mov cr3, r11
  clear_bits cr4, CR4_PCIDE
  lea rax, [r11 + 1]
  mov cr3, rax
  mov rbx, cr4
  or ebx, CR4_PCIDE
  faults "setting PCIDE with CR3 bits 0 to 11 is #GP(0)", V_GP, 0, mov cr4, rbx
  mov cr3, r11
  ret

.data
invpcid_all: .quad 0, 0
invpcid_window: .quad 0, WINDOW
invpcid_bad: .quad 0, 0x800000000000
invpcid_reserved: .quad 0x1000, 0
implicit_selector: .word GDT_END + 8
gdt_pointer_user:
  .word GDT_END - 1
  .quad 0
