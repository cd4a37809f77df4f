# INT n in virtual-8086 mode for every vector, bit of the redirection map and IOPL, with VME and without; where the map is
# looked for. SDM volume 3, "Software Interrupt Handling Methods While in Virtual-8086 Mode".

.include "lib.inc"

.set IO_MAP, 104 + 32
.set SEGMENT, 0x800             # virtual-8086 code and data; the runtime's addresses are at 0x8000
.set STACK_SEGMENT, 0x9000
.set CODE, SEGMENT * 16 + 0x100 # INT n, and what follows it

# How an INT may end.
.set TO_IDT, 1
.set TO_TABLE, 2                # the 8086 program's own handler
.set TO_GP, 3

use16
main:
  enter_protected
  mov word ptr [gdt + TSS], IO_MAP
  mov byte ptr [gdt + TSS + 5], 0x89
  mov word ptr [tss + 0x66], IO_MAP
  mov byte ptr [tss + IO_MAP], 0xff
  mov eax, TSS
  ltr ax
  mov word ptr [CODE], 0x00cd
  # Gates of DPL 3 for all, so that only redirection and IOPL decide.
  xor ecx, ecx
1:
  mov byte ptr [idt + ecx * 8 + 5], 0xee
  inc ecx
  cmp ecx, 256
  jb 1b
  # The 8086 program's handlers are INT3s at 0:vector + 0x8200, which lie in SEGMENT.
  mov dword ptr [SEGMENT * 16 + 0x200], 0xcccccccc
  cld
  mov edi, SEGMENT * 16 + 0x200
  mov ecx, 256
  mov al, 0xcc
  rep stosb
  mov esi, 0
1:
  lea eax, [esi + 0x8200]
  mov [esi * 4], eax
  inc esi
  cmp esi, 256
  jb 1b
  .irp vme, 0, CR4_VME
  .irp level, 0, 3
  clear_bits cr4, CR4_VME
  set_bits cr4, \vme
  mov dword ptr [iopl], \level << 12
  mov dword ptr [mismatch], 0
  mov dword ptr [mismatches], 0
  call all_vectors
  check_memory "CR4.VME \vme, IOPL \level: last mismatch", mismatch, 0
  check_memory "CR4.VME \vme, IOPL \level: mismatches", mismatches, 0
  .endr
  .endr
  call place_of_map
  finish

# ESI: vector; EBP: its bit of the map.
all_vectors:
  xor esi, esi
.Lvector:
  xor ebp, ebp
.Lbit:
  mov edi, offset tss + 104
  mov al, 0
  test ebp, ebp
  jnz 1f
  mov al, 0xff                                  # all the others are the opposite
1:
  mov ecx, 32
  rep stosb
  btr dword ptr [tss + 104], esi
  test ebp, ebp
  jz 1f
  bts dword ptr [tss + 104], esi
1:
  call expected_end
  mov [wanted], eax
  call run_int
  cmp eax, [wanted]
  je 1f
  inc dword ptr [mismatches]
  shl eax, 16
  mov ah, 0
  mov ecx, ebp
  shl ecx, 8
  or eax, ecx
  or eax, esi
  mov [mismatch], eax
1:
  inc ebp
  cmp ebp, 2
  jb .Lbit
  inc esi
  cmp esi, 256
  jb .Lvector
  ret

expected_end:
  mov eax, cr4
  test al, CR4_VME
  jz 1f
  test ebp, ebp
  jnz 1f
  mov eax, TO_TABLE
  ret
1:
  mov eax, TO_IDT
  cmp dword ptr [iopl], 0
  jne 1f
  mov eax, TO_GP
1:
  ret

# Executes INT ESI; how it ended, or 0xee, in EAX.
run_int:
  mov ecx, esi
  mov [CODE + 1], cl
  arm 2f, 0
  mov dword ptr [hook], offset caught
  push 0
  push 0
  push SEGMENT
  push SEGMENT
  push STACK_SEGMENT
  push 0x1000
  mov eax, [iopl]
  or eax, FL_VM + 2
  push eax
  push SEGMENT
  push 0x100
  iretd
2:
  mov dword ptr [hook], 0
  ret

# Vectors whose stubs push no dummy have none by INT n: the frame is recognised by its CS.
caught:
  mov eax, [esp]
  mov ecx, [esp + 4]
  mov edx, [esp + 8]
  mov esp, [resume_sp]
  cmp eax, V_BP
  je .Lint3
  cmp eax, V_GP
  jne .Lidt
  # #GP(0) of INT 13 through the IDT: error code, or EIP behind the INT.
  cmp ecx, 0x102
  je .Lidt
  mov eax, TO_GP
  test ecx, ecx
  jnz .Lbad
  cmp edx, 0x100
  jne .Lbad
  jmp [resume]
.Lint3:
  # The handler in the table, or INT 3 itself.
  cmp edx, 0x102
  je .Lidt
  lea ecx, [esi + 0x8201]
  cmp edx, ecx
  mov eax, TO_TABLE
  je 1f
.Lbad:
  mov eax, 0xee
1:
  jmp [resume]
.Lidt:
  cmp eax, esi
  mov eax, TO_IDT
  jne .Lbad
  jmp [resume]

# The map is the 32 bytes below the I/O map, wherever that is; both within the limit of the TSS.
place_of_map:
  set_bits cr4, CR4_VME
  mov dword ptr [iopl], 0
  mov esi, 0x42
  cld
  mov edi, offset tss + 104
  mov ecx, 32
  mov al, 0xff
  rep stosb
  mov byte ptr [tss + 120 - 32 + 8], 0xfb       # bit 0x42 of a map at 88
  mov word ptr [tss + 0x66], 120
  call run_int
  check "a map at another place", eax, TO_TABLE
  mov byte ptr [tss + 120 - 32 + 8], 0xff
  call run_int
  check "its bit set", eax, TO_GP
  mov word ptr [tss + 0x66], 0x400
  call run_int
  check "a map beyond the limit of the TSS", eax, TO_GP
  mov word ptr [tss + 0x66], IO_MAP
  clear_bits cr4, CR4_VME
  ret

.data
iopl: .quad 0
wanted: .quad 0
mismatch: .quad 0
mismatches: .quad 0
