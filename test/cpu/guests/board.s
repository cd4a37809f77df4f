# What the board does to the processor: address line 20 and its two gates, x87 errors by FERR# and IRQ 13.
# ICH data sheets, "Port 92 Register", "Coprocessor Error Register"; SDM volume 1, "MS-DOS* Compatibility Sub-mode".

.include "lib.inc"

.set LOW, 0x200000              # the same as HIGH while A20 is closed
.set HIGH, 0x300000
.set PD, 0x208000
.set IRQ13, 0x2d

.macro fast_gate value
  mov al, \value
  out 0x92, al
.endm

# The keyboard controller's gate, by its output port.
.macro keyboard_gate value
  mov al, 0xd1
  out 0x64, al
  mov al, \value
  out 0x60, al
.endm

use16
main:
  call real_mode
  enter_protected
  # The other gate is closed from here on.
  keyboard_gate 0xdd
  call gates
  call paging
  call code
  .irp pair, 0x1120, 0x2021, 0x0421, 0x0121, 0xfb21, 0x11a0, 0x28a1, 0x02a1, 0x01a1, 0xdfa1
  mov al, \pair >> 8
  out (\pair) & 0xff, al
  .endr
  mov dword ptr [0xfee000f0], 0x1ff             # SVR
  mov dword ptr [0xfee00350], 0x700             # LINT0 is ExtINT
  call numeric_errors
  finish

use16
real_mode:
  mov dword ptr [0x510], 0x11111111
  mov ax, 0xffff
  mov es, ax
  mov dword ptr es:[0x520], 0x22222222          # 100510
  mov eax, [0x510]
  check "open: 1 MiB is not 0", eax, 0x11111111
  fast_gate 0
  keyboard_gate 0xdd
  mov ebx, dword ptr es:[0x520]
  mov dword ptr es:[0x524], 0x33333333
  keyboard_gate 0xdf
  fast_gate 2
  mov ecx, [0x514]
  mov edx, es:[0x520]
  xor ax, ax
  mov es, ax
  check "closed: 1 MiB is 0", ebx, 0x11111111
  check "closed: a store", ecx, 0x33333333
  check "open again", edx, 0x22222222
  ret

# What HIGH reads, into EBX.
.macro look
  mov edi, HIGH
  mov ebx, [edi]
.endm

use32
gates:
  mov dword ptr [LOW], 0x10101010
  mov dword ptr [HIGH], 0x20202020
  keyboard_gate 0xdf
  fast_gate 0
  look
  check "one gate is open", ebx, 0x20202020
  keyboard_gate 0xdd
  look
  check "both are closed", ebx, 0x10101010
  fast_gate 2
  look
  check "the other one is open", ebx, 0x20202020
  fast_gate 0
  mov al, 0xdf                                  # the command that opens it
  out 0x64, al
  look
  check "opened by a command", ebx, 0x20202020
  mov al, 0xdd
  out 0x64, al
  look
  check "closed by a command", ebx, 0x10101010
  fast_gate 2
  ret

# Page tables are read by physical addresses too.
paging:
  mov dword ptr [PD], 0x83                      # 4 MiB one to one
  mov dword ptr [PD + 4], HIGH + 0x3003
  mov dword ptr [LOW + 0x3000], 0x800003
  mov dword ptr [HIGH + 0x3000], 0x801003
  mov dword ptr [0x800000], 0x40404040
  mov dword ptr [0x801000], 0x41414141
  set_bits cr4, CR4_PSE
  mov eax, PD
  mov cr3, eax
  set_bits cr0, CR0_PG
  mov ebx, [0x400000]
  fast_gate 0
  mov ecx, [0x400000]
  fast_gate 2
  mov edx, [0x400000]
  clear_bits cr0, CR0_PG
  check "a page table, open", ebx, 0x41414141
  check "a page table, closed", ecx, 0x40404040
  check "and open again", edx, 0x41414141
  ret

# Code is the other one's, translated or not.
code:
  mov dword ptr [LOW + 0x100], 0x000001b8       # MOV EAX, 1; RET
  mov word ptr [LOW + 0x104], 0xc300
  mov dword ptr [HIGH + 0x100], 0x000002b8
  mov word ptr [HIGH + 0x104], 0xc300
  mov edi, HIGH + 0x100
  mov ecx, 10
1:
  call edi
  mov esi, eax
  fast_gate 0
  call edi
  mov ebx, eax
  fast_gate 2
  dec ecx
  jnz 1b
  check "code, open", esi, 2
  check "code, closed", ebx, 1
  ret

.macro x87_error
  fninit
  fldcw [zero_unmasked]
  fld1
  fldz
  fdivp st(1), st
.endm

numeric_errors:
  clear_bits cr0, CR0_NE
  mov dword ptr [hook], offset interrupt
  mov dword ptr [seen], 0
  x87_error
  sti
  nop
  nop
  check_memory "the error itself is silent", seen, 0
2:
  fld1
  cli
  check_memory "the next waiting instruction", seen, 1
  check_memory "RIP is at it", seen_rip, "offset 2b"
  fnstsw ax
  and eax, 0x80
  check "the handler has cleared it", eax, 0
  # With interrupts shut the instruction goes on, and the interrupt waits.
  mov dword ptr [seen], 0
  x87_error
  fwait
  check_memory "IF clear: nothing comes", seen, 0
  sti
  nop
  nop
  cli
  check_memory "it has waited", seen, 1
  mov dword ptr [hook], 0
  set_bits cr0, CR0_NE
  x87_error
  faults "with NE it is #MF", V_MF, 0, fwait
  fninit
  ret

interrupt:
  inc dword ptr [seen]
  cmp dword ptr [esp], IRQ13
  je 1f
  mov dword ptr [seen], 99
1:
  push eax
  mov eax, [esp + 12]
  mov [seen_rip], eax
  out 0xf0, al
  fnclex
  mov al, 0x20
  out 0xa0, al
  out 0x20, al
  pop eax
  add esp, 8
  iretd

.data
seen: .quad 0
seen_rip: .quad 0
zero_unmasked: .word 0x37b
