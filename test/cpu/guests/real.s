# Real mode: segments, wrap-around, limits, the interrupt vector table, 32-bit operands, big real mode.
# SDM volume 3, "8086 Emulation".

.include "lib.inc"
.include "real.inc"

use16

main:
  call segments
  call limits
  call stack
  call interrupts
  call operands
  call transfers
  call protected_only
  call big_real_mode
  finish

segments:
  mov dword ptr [0x20010 & 0xffff], 0
  mov ax, 0x2000
  mov es, ax
  mov dword ptr es:[0x10], 0x11223344
  mov ax, 0x1001
  mov es, ax
  mov eax, es:[0x0000]
  xor eax, eax
  mov es, ax
  mov ax, 0x1fff
  mov es, ax
  mov eax, es:[0x20]
  check "segment times 16", eax, 0x11223344
  mov ax, 0xffff
  mov es, ax
  mov dword ptr es:[0x10], 0x55667788
  mov eax, es:[0x10]
  check "A20 is open above 1 MiB", eax, 0x55667788
  xor ax, ax
  mov es, ax
  mov eax, es:[0]
  mov bx, 0xfff0
  mov si, 0x20
  mov dword ptr [0x10], 0x0badf00d
  mov eax, [bx + si]
  check "16-bit addresses wrap", eax, 0x0badf00d
  mov bp, 0x500
  mov word ptr [0x502], 0x4321
  mov ax, [bp + 2]
  movzx eax, ax
  check "BP means SS", eax, 0x4321
  mov ax, 0x1234
  mov fs, ax
  mov ax, fs
  movzx eax, ax
  check "FS holds its selector", eax, 0x1234
  lds bx, [far_pointer]
  mov cx, ds
  xor ax, ax
  mov ds, ax
  movzx ecx, cx
  check "LDS loads DS", ecx, 0x5678
  movzx ebx, bx
  check "LDS loads the offset", ebx, 0x1234
  ret

limits:
  mov bx, 0xffff
  real_faults "word at 0xffff is #GP", V_GP, mov ax, [bx]
  mov bx, 0xfffd
  real_faults "doubleword at 0xfffd is #GP", V_GP, mov eax, [bx]
  mov ebx, 0x10000
  real_faults "address beyond 64 KiB is #GP", V_GP, mov al, [ebx]
  mov bp, 0xffff
  real_faults "word by BP at 0xffff is #SS", V_SS, mov ax, [bp]
  mov ebx, 0xffff
  mov al, [ebx]
  check "byte at 0xffff", ebx, 0xffff
  real_faults "far JMP beyond 64 KiB is #GP", V_GP, .byte 0x66, 0xea, 0, 0, 1, 0, 0, 0
  mov ebx, 0x10000
  real_faults "near JMP beyond 64 KiB is #GP", V_GP, jmp ebx
  ret

stack:
  mov bx, sp
  mov sp, 0
  push 0x1111
  mov cx, sp
  mov sp, bx
  movzx ecx, cx
  check "PUSH wraps SP", ecx, 0xfffe
  mov ebx, esp
  mov esp, 0x00020500
  push ax
  mov ecx, esp
  mov esp, ebx
  check "PUSH keeps the upper half of ESP", ecx, 0x000204fe
  mov bx, sp
  mov eax, 0x12345678
  push eax
  pop cx
  pop dx
  movzx edx, dx
  check "32-bit PUSH", edx, 0x1234
  push sp
  pop ax
  sub ax, bx
  movzx eax, ax
  check "PUSH SP pushes the old value", eax, 0
  enter 8, 0
  leave
  mov ax, sp
  sub ax, bx
  movzx eax, ax
  check "ENTER, LEAVE", eax, 0
  mov ebx, esp
  pushad
  sub ebx, esp
  popad
  mov ebx, esp
  pushf
  pushfd
  sub ebx, esp
  add sp, 6
  check "PUSHF, PUSHFD", ebx, 6
  ret

interrupts:
  vector 0x60, 1f
  sti
  stc
  mov bx, sp
  int 0x60
2:
  jmp 3f
1:
  pushf
  pop dx
  mov si, [esp]
  mov di, [esp + 4]
  mov cx, sp
  sub bx, cx
  iret
3:
  pushf
  pop ax
  cli
  movzx ebx, bx
  check "INT pushes three words", ebx, 6
  and edx, FL_IF+FL_TF
  check "INT clears IF and TF", edx, 0
  movzx esi, si
  check "INT pushes IP", esi, "offset 2b"
  and edi, FL_IF+FL_CF
  check "INT pushes FLAGS", edi, FL_IF+FL_CF
  and eax, FL_IF+FL_CF
  check "IRET loads FLAGS", eax, FL_IF+FL_CF
  xor bx, bx
  real_faults "DIV by zero is #DE", V_DE, div bx
  mov ax, 0x100
  mov bl, 1
  real_faults "DIV overflow is #DE", V_DE, div bl
  real_faults "UD2 is #UD", V_UD, ud2
  mov ax, 5
  real_faults "BOUND is #BR", V_BR, bound ax, [bounds]
  vector V_OF, 1f
  mov al, 0x7f
  inc al
  mov dword ptr [saved_sp], esp
  into
2:
  xor ax, ax
1:
  pop ax
  mov esp, [saved_sp]
  movzx eax, ax
  check "INTO is a trap", eax, "offset 2b"
  lidt [short_idt]
  real_faults "INT beyond the limit is #GP", V_GP, int 0x61
  lidt [real_idt_pointer]
  vector 0x61, 1f
  push 0x3002 + FL_NT
  popf
  pushf
  pop ax
  push 2
  popf
1:
  movzx eax, ax
  check "POPF loads IOPL and NT", eax, "0x3002+FL_NT"
  pushfd
  or dword ptr [esp], FL_AC + 0x200000
  popfd
  pushfd
  pop eax
  push 2
  popf
  and eax, FL_AC + 0x200000
  check "POPFD loads AC and ID", eax, "FL_AC+0x200000"
  ret

operands:
  mov eax, 0x80000000
  cdq
  check "CDQ", edx, -1
  mov eax, 0x12348000
  cwd
  movzx edx, dx
  check "CWD", edx, 0xffff
  mov ecx, 3
  mov eax, 0x1000
  lea ebx, [eax + ecx * 8 + 0x10000]
  check "LEA with 32-bit addressing", ebx, 0x11018
  mov ecx, 0x00010001
  jcxz 1f
  loop 1f
  mov ebx, ecx
  jmp 2f
1:
  xor ebx, ebx
2:
  check "LOOP uses CX", ebx, 0x00010000
  mov ecx, 0x00010000
  xor ebx, ebx
  jcxz 1f
  inc ebx
1:
  check "JCXZ looks at CX", ebx, 0
  mov edi, 0x00010600
  mov ecx, 0x00010002
  mov eax, 0xaa
  push di
  pop di
  cld
  rep stosb
  check "REP STOSB uses DI", edi, 0x00010602
  check "REP STOSB uses CX", ecx, 0x00010000
  mov si, 0xffff
  mov al, [0xffff]
  lodsb
  movzx esi, si
  check "LODSB wraps SI", esi, 0
  ret

transfers:
  mov bx, sp
  .byte 0x9a                    # far CALL
  .word 1f, 0
  jmp 2f
1:
  mov cx, sp
  sub bx, cx
  mov dx, cs
  retf
2:
  movzx ebx, bx
  check "far CALL pushes two words", ebx, 4
  push 0x10
  pop ax
  .byte 0xea
  .word 1f - 0x100, 0x10
1:
  mov dx, cs
  movzx edx, dx
  jump_far 0, 1f
1:
  check "far JMP loads CS", edx, 0x10
  push 0x7777
  push cs
  push offset 1f
  retf 2
1:
  mov ax, sp
  sub ax, cx
  sub ax, 4
  movzx eax, ax
  check "RETF 2", eax, 0
  ret

# Instructions that only protected mode has are #UD.
protected_only:
  xor eax, eax
  real_faults "LAR is #UD", V_UD, lar ax, ax
  real_faults "VEX is #UD", V_UD, .byte 0xc4, 0xe2, 0x78, 0xf2, 0xc3
  real_faults "LSL is #UD", V_UD, lsl ax, ax
  real_faults "VERR is #UD", V_UD, verr ax
  real_faults "ARPL is #UD", V_UD, arpl ax, ax
  real_faults "LLDT is #UD", V_UD, lldt ax
  real_faults "LTR is #UD", V_UD, ltr ax
  real_faults "SLDT is #UD", V_UD, sldt ax
  real_faults "SYSEXIT is #GP", V_GP, .byte 0x0f, 0x35
  smsw ax
  and eax, 1
  check "SMSW", eax, 0
  sgdt [scratch]
  mov ax, [scratch]
  movzx eax, ax
  check "SGDT works", eax, eax
  ret

# A segment keeps the limit it got in protected mode: the "unreal" mode of boot loaders.
big_real_mode:
  lgdt [gdt_pointer]
  mov eax, cr0
  or al, CR0_PE
  mov cr0, eax
  mov bx, DATA
  mov es, bx
  and al, ~CR0_PE
  mov cr0, eax
  xor bx, bx
  mov es, bx
  mov edi, SCRATCH
  mov dword ptr es:[edi], 0xfeedface
  mov eax, es:[edi]
  check "ES reaches 4 GiB after protected mode", eax, 0xfeedface
  mov bx, 0x10
  mov es, bx
  mov eax, es:[edi - 0x100]
  check "a new base keeps the limit", eax, 0xfeedface
  xor bx, bx
  mov es, bx
  mov ebx, SCRATCH
  real_faults "DS kept its limit", V_GP, mov eax, [ebx]
  ret

.data
far_pointer: .word 0x1234, 0x5678
bounds: .word 0, 4
short_idt:
  .word 0x60 * 4 + 3
  .quad 0
saved_sp: .quad 0
scratch: .quad 0, 0
.text
