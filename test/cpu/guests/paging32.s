# 32-bit paging with 4 KiB and 4 MiB pages, PSE-36, and PAE paging with its PDPTE registers.
# SDM volume 3, "32-Bit Paging", "PAE Paging".

.include "lib.inc"
.include "pages.inc"

.set PD, 0x100000
.set PT, 0x101000
.set PDPT, 0x102000
.set PAE_PD, 0x103000           # four of them
.set PAE_PT, 0x107000
.set WINDOW, 0x40000000
.set FRAME, 0x300000
.set OTHER, 0x301000

.macro flush
  mov eax, cr3
  mov cr3, eax
.endm

use16
main:
  enter_protected
  mov dword ptr [FRAME], 0x11111111
  mov dword ptr [OTHER], 0x22222222
  call legacy
  call leave
  call pae
  call leave
  finish

# Back to no paging; identity mapping makes that easy.
leave:
  clear_bits cr0, CR0_PG+CR0_WP
  clear_bits cr4, CR4_PAE+CR4_PSE+CR4_PGE
  ret

legacy:
  # 4 MiB identity pages for the first 64 MiB, one page table for WINDOW.
  cld
  mov edi, PD
  xor eax, eax
  mov ecx, 2048
  rep stosd
  mov eax, P + W + U + LARGE
  xor ecx, ecx
1:
  mov [PD + ecx * 4], eax
  add eax, 0x400000
  inc ecx
  cmp ecx, 16
  jb 1b
  mov dword ptr [PD + (WINDOW >> 20)], PT + P + W + U
  mov dword ptr [PT], FRAME + P + W + U
  set_bits cr4, CR4_PSE
  mov eax, PD
  mov cr3, eax
  set_bits cr0, CR0_PG+CR0_WP
  mov edi, WINDOW
  mov eax, [edi]
  check "4 KiB page", eax, 0x11111111
  mov eax, [PT]
  and eax, A+D
  check "A", eax, A
  mov [edi + 4], eax
  mov eax, [PT]
  and eax, A+D
  check "A and D", eax, A+D
  mov eax, [PD + (WINDOW >> 20)]
  and eax, A+D
  check "A in the directory, and no D", eax, A
  mov eax, [PD]
  and eax, A+D
  check "A and D of a 4 MiB page", eax, A+D
  faults "absent directory entry", V_PF, 0, mov eax, [edi+0x400000]
  check_memory "CR2", last_cr2, WINDOW+0x400000
  faults "absent table entry, write", V_PF, E_W, mov [edi+0x1000], eax
  user_faults "user read of an absent page", V_PF, E_U, mov eax, [edi+0x1000]
  mov dword ptr [PT], FRAME + P + W
  invlpg [edi]
  user_faults "user read of a supervisor page", V_PF, E_U+E_P, mov eax, [edi]
  user_faults "user write of a supervisor page", V_PF, E_U+E_P+E_W, mov [edi], eax
  arm 1f, WINDOW
  enter_user 2f
2:
  jmp edi
1:
  fault_result "user fetch of a supervisor page has no I/D bit", V_PF, E_U+E_P
  mov dword ptr [PT], FRAME + P + U
  invlpg [edi]
  user_faults "user write of a read-only page", V_PF, E_U+E_P+E_W, mov [edi], eax
  faults "supervisor write of a read-only page, WP", V_PF, E_P+E_W, mov [edi], eax
  clear_bits cr0, CR0_WP
  faults "supervisor write of a read-only page, no WP", NONE, 0, mov [edi+4], eax
  set_bits cr0, CR0_WP
  mov dword ptr [PT], FRAME + P + W + U
  and dword ptr [PD + (WINDOW >> 20)], ~U
  flush
  user_faults "supervisor directory entry", V_PF, E_U+E_P, mov eax, [edi]
  or dword ptr [PD + (WINDOW >> 20)], U
  and dword ptr [PD + (WINDOW >> 20)], ~W
  flush
  user_faults "read-only directory entry", V_PF, E_U+E_P+E_W, mov [edi], eax
  or dword ptr [PD + (WINDOW >> 20)], W
  flush
  # 4 MiB pages: reserved bit 21, and PSE off makes PS mean nothing.
  mov dword ptr [PD + (WINDOW >> 20) + 4], 0x600000 + P + W + LARGE
  flush
  faults "reserved bit 21 of a 4 MiB page", V_PF, E_P+E_RSVD, mov eax, [edi+0x400000]
  mov dword ptr [PD + (WINDOW >> 20) + 4], P + W + LARGE
  flush
  mov eax, [edi + 0x400000 + FRAME]
  check "4 MiB page", eax, 0x11111111
  mov dword ptr [PD + (WINDOW >> 20) + 4], 0
  # Non-identity code page: the instruction after the switch of CR3 comes from there.
  mov dword ptr [PT], OTHER + P + W + U
  flush
  mov eax, [edi]
  check "another frame after CR3", eax, 0x22222222
  ret

.macro entry low, high=0
  mov dword ptr [PAE_PT], \low
  mov dword ptr [PAE_PT + 4], \high
  invlpg [edi]
.endm

pae:
  cld
  mov edi, PDPT
  xor eax, eax
  mov ecx, 6 * 1024
  rep stosd
  mov eax, PAE_PD + P
  xor ecx, ecx
1:
  mov [PDPT + ecx * 8], eax
  add eax, 0x1000
  inc ecx
  cmp ecx, 4
  jb 1b
  mov eax, P + W + U + LARGE
  xor ecx, ecx
1:
  mov [PAE_PD + ecx * 8], eax
  add eax, 0x200000
  inc ecx
  cmp ecx, 32
  jb 1b
  mov dword ptr [PAE_PD + 0x1000], PAE_PT + P + W + U
  mov edi, WINDOW
  mov dword ptr [PAE_PT], FRAME + P + W + U
  set_bits cr4, CR4_PAE
  mov eax, PDPT
  mov cr3, eax
  write_msr EFER, EFER_NXE
  set_bits cr0, CR0_PG+CR0_WP
  mov eax, [edi]
  check "PAE: 4 KiB page", eax, 0x11111111
  mov eax, [PAE_PD]
  and eax, A+D
  check "PAE: A and D of a 2 MiB page", eax, A+D
  mov eax, [PDPT]
  and eax, A
  check "PAE: no A in a PDPTE", eax, 0
  entry FRAME+P+W, NX
  faults "PAE: read of an NX page", NONE, 0, mov eax, [edi]
  arm 1f, WINDOW
  call edi
1:
  fault_result "PAE: fetch of an NX page", V_PF, E_P+E_I
  entry FRAME+P+W, 1<<30
  faults "PAE: reserved bit 62", V_PF, E_P+E_RSVD, mov eax, [edi]
  entry FRAME+P+W, 1<<20
  faults "PAE: reserved bit 52", V_PF, E_P+E_RSVD, mov eax, [edi]
  entry FRAME+P+W
  user_faults "PAE: user read of a supervisor page", V_PF, E_U+E_P, mov eax, [edi]
  mov dword ptr [PAE_PD + 0x1008], 0x202000 + P + W + LARGE
  flush
  faults "PAE: reserved bit 13 of a 2 MiB page", V_PF, E_P+E_RSVD, mov eax, [edi+0x200000]
  mov dword ptr [PAE_PD + 0x1008], 0x200000 + P + W + LARGE
  flush
  mov eax, [edi + 0x200000 + 0x100000]
  check "PAE: 2 MiB page", eax, 0x11111111
  # The PDPTEs are registers: a change in memory counts with the next load of CR3 only.
  mov dword ptr [PDPT + 8], 0
  mov eax, [edi]
  invlpg [edi]
  mov eax, [edi]
  check "PAE: PDPTEs are loaded with CR3", eax, 0x11111111
  flush
  faults "PAE: absent PDPTE", V_PF, 0, mov eax, [edi]
  mov dword ptr [PDPT + 8], PAE_PD + 0x1000 + P + W
  mov eax, cr3
  faults "PAE: reserved bit of a PDPTE is #GP(0)", V_GP, 0, mov cr3, eax
  mov dword ptr [PDPT + 8], PAE_PD + 0x1000 + P
  flush
  mov eax, [edi]
  check "PAE: there again", eax, 0x11111111
  ret
