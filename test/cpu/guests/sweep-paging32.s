# The sweep over 32-bit paging (4 KiB and 4 MiB, PSE-36) and PAE paging (4 KiB and 2 MiB).
# SDM volume 3, "32-Bit Paging", "PAE Paging".

.include "lib.inc"
.include "sweep.inc"

.set PD, 0x100000
.set PT, 0x101000
.set USER_PT, 0x102000
.set PAE_PDPT, 0x103000
.set PAE_PD, 0x104000           # four of them
.set PAE_PT, 0x108000
.set PAE_USER_PT, 0x109000
.set WINDOW, 0x80000000

sweep_code 32, e

use16
main:
  enter_protected
  call place_code32
  call legacy
  call pae
  finish

legacy:
  # The runtime in supervisor pages of 4 MiB.
  mov eax, P + W + LARGE
  xor ecx, ecx
1:
  mov [PD + ecx * 4], eax
  add eax, 0x400000
  inc ecx
  cmp ecx, 16
  jb 1b
  mov dword ptr [PD + (WINDOW >> 20)], PT + P + W + U
  mov dword ptr [PT], FRAME + P + W + U
  mov dword ptr [PD + (USER_CODE >> 20)], USER_PT + P + W + U
  mov dword ptr [USER_PT], USER_CODE_FRAME + P + W + U
  set_bits cr4, CR4_PSE
  mov eax, PD
  mov cr3, eax
  set_bits cr0, CR0_PG
  form "32-bit PDE", PD+(WINDOW>>20), PT, WINDOW, 0, 8
  reserved "32-bit PDE", 0xfffff081, 0
  form "32-bit PTE", PT, FRAME, WINDOW, 1, 8
  reserved "32-bit PTE", 1, 0
  form "4 MiB page", PD+(WINDOW>>20), LARGE, WINDOW+FRAME, 1, 8
  # PSE-36: bits 13 to 20 are bits 32 to 39 of the address.
  reserved "4 MiB page", 0x81, 0x00200000
  ret

pae:
  clear_bits cr0, CR0_PG
  mov eax, PAE_PD + P
  xor ecx, ecx
1:
  mov [PAE_PDPT + ecx * 8], eax
  add eax, 0x1000
  inc ecx
  cmp ecx, 4
  jb 1b
  mov eax, P + W + LARGE
  xor ecx, ecx
1:
  mov [PAE_PD + ecx * 8], eax
  add eax, 0x200000
  inc ecx
  cmp ecx, 32
  jb 1b
  mov dword ptr [PAE_PD + 0x2000], PAE_PT + P + W + U
  mov dword ptr [PAE_PT], FRAME + P + W + U
  mov dword ptr [PAE_PD + 0x1000], PAE_USER_PT + P + W + U
  mov dword ptr [PAE_USER_PT], USER_CODE_FRAME + P + W + U
  set_bits cr4, CR4_PAE
  mov eax, PAE_PDPT
  mov cr3, eax
  write_msr EFER, EFER_NXE
  set_bits cr0, CR0_PG
  form "PAE PDE", PAE_PD+0x2000, PAE_PT, WINDOW, 0
  reserved "PAE PDE", 0xfffff081, 0, 0x7fffc000
  form "PAE PTE", PAE_PT, FRAME, WINDOW, 1
  reserved "PAE PTE", 1, 0, 0x7fffc000
  form "PAE 2 MiB page", PAE_PD+0x2000, 0x200000+LARGE, WINDOW+0x100000, 1
  reserved "PAE 2 MiB page", 0x81, 0x001fe000, 0x7fffc000
  # Reserved bits of a PDPTE are found when CR3 is loaded: #GP(0).
  xor esi, esi
  xor edi, edi
  xor ebp, ebp
1:
  test esi, esi
  jz 3f
  btc dword ptr [PAE_PDPT + 24], esi
  mov eax, cr3
  arm 2f, 4f
4:
  mov cr3, eax
2:
  btc dword ptr [PAE_PDPT + 24], esi
  cmp dword ptr [last_vector], V_GP
  jne 3f
  bts [pdpte_low], esi
3:
  inc esi
  cmp esi, 64
  jb 1b
  mov dword ptr [resume], offset unexpected32
  check_memory "PDPTE: reserved bits", pdpte_low, 0x1e6
  check_memory "PDPTE: reserved bits, upper half", pdpte_high, 0xffffc000
  write_msr EFER, 0
  mov dword ptr [PAE_PD + 0x2000], PAE_PT + P + W + U
  mov dword ptr [entry_at], PAE_PT
  mov dword ptr [entry_base], FRAME
  mov dword ptr [window], WINDOW
  reserved "PAE PTE without NXE", 1, 0, 0xffffc000
  ret

.data
pdpte_low: .long 0
pdpte_high: .long 0
