# The sweep over 4-level paging: each level as the one under test, and pages of 4 KiB, 2 MiB and 1 GiB.
# SDM volume 3, "4-Level Paging and 5-Level Paging".

.include "lib.inc"
.include "sweep.inc"

.set PDPT, 0x110000             # tables of the window, by PML4 entry 1
.set PD, 0x111000
.set PT, 0x112000
.set USER_PT, 0x113000
.set BASE, 0x8000000000

sweep_code 64, r

use16
main:
  enter_long
  supervisor_pages
  mov dword ptr [PML4 + 8], PDPT + P + W + U
  mov dword ptr [PDPT], PD + P + W + U
  mov dword ptr [PD], PT + P + W + U
  mov dword ptr [PT], FRAME + P + W + U
  mov dword ptr [PML4 + 0x3000], USER_PT + P + W + U
  mov dword ptr [USER_PT], USER_CODE_FRAME + P + W + U
  mov rax, cr3
  mov cr3, rax
  call place_code64
  # The address bits of a table lead elsewhere, PS of a directory to a page.
  form "PML4E", PML4+8, PDPT, BASE, 0
  reserved "PML4E", 0xfffff001, 0x80, 0x000fc000
  form "PDPTE", PDPT, PD, BASE, 0
  reserved "PDPTE", 0xfffff081, 0, 0x000fc000
  form "PDE", PD, PT, BASE, 0
  reserved "PDE", 0xfffff081, 0, 0x000fc000
  form "PTE", PT, FRAME, BASE, 1
  reserved "PTE", 1, 0, 0x000fc000
  # Two levels together: each right of the PDE with each of the PTE.
  .set above, 0
  .rept 16
  mov qword ptr [PD], PT + (above & 7)
  .if above & CASE_NX
  mov dword ptr [PD + 4], NX
  .endif
  form "PTE below another PDE", PT, FRAME, BASE, 1, 16, above
  .set above, above + 1
  .endr
  mov qword ptr [PD], PT + P + W + U
  form "2 MiB page", PD, 0x200000+LARGE, BASE+0x100000, 1
  reserved "2 MiB page", 0x81, 0x001fe000, 0x000fc000
  mov dword ptr [PD], PT + P + W + U
  form "1 GiB page", PDPT, LARGE, BASE+FRAME, 1
  reserved "1 GiB page", 0x81, 0x3fffe000, 0x000fc000
  mov dword ptr [PDPT], PD + P + W + U
  mov ecx, EFER
  rdmsr
  and eax, ~EFER_NXE
  wrmsr
  mov dword ptr [entry_at], PT
  mov dword ptr [entry_base], FRAME
  movabs rax, BASE
  mov [window], rax
  reserved "PTE without NXE", 1, 0, 0x800fc000
  finish
