# Virtual-8086 mode: in by IRET, out by interrupts, sensitive instructions by IOPL, the I/O bitmap, VME.
# SDM volume 3, "8086 Emulation".

.include "lib.inc"

.set V86_STACK, 0x8000          # SS:SP is V86_STACK:0x1000
.set FLAGS, FL_VM + 2

use16
main:
  enter_protected
  mov word ptr [gdt + TSS], 104 + 32 + 0x20     # room for redirection and I/O bitmaps
  mov byte ptr [gdt + TSS + 5], 0x89
  mov word ptr [tss + 0x66], 104 + 32
  cld
  mov edi, offset tss + 104 + 32
  mov ecx, 9
  mov eax, -1
  rep stosd
  mov edi, offset tss + 104
  mov ecx, 8
  rep stosd
  mov eax, TSS
  ltr ax
  call entry
  call sensitive
  call with_iopl
  call ports
  call limits
  call extensions
  finish

# Enters virtual-8086 mode at `target` with `flags`; comes back by any exception, to .Lafter of the caller.
.macro enter_v86 target, flags
  push 0x4444                                   # GS
  push 0x3333                                   # FS
  push 0x2222                                   # DS
  push 0x1111                                   # ES
  push V86_STACK
  push 0x1000
  push \flags
  push 0
  push offset \target
  iretd
.endm

# Runs 16-bit code with `flags`; INT SYSTEM_CALL (IOPL 3) or a fault ends it. EIP is not compared with
# the linear address since CS is 0.
.macro v86_faults name, flags, vector, error, code:vararg
  arm .Lafter\@, .Lat\@
  enter_v86 .Lat\@, \flags
use16
.Lat\@:
  \code
  int SYSTEM_CALL
use32
.Lafter\@:
  fault_result "\name", \vector, \error
.endm

.macro v86_traps name, flags, vector, error, code:vararg
  arm .Lafter\@, .Lend\@
  enter_v86 .Lat\@, \flags
use16
.Lat\@:
  \code
.Lend\@:
  int SYSTEM_CALL
use32
.Lafter\@:
  fault_result "\name", \vector, \error
.endm

.set IOPL3, FLAGS + FL_IOPL3

entry:
  v86_faults "UD2", FLAGS, V_UD, 0, ud2
  check_memory "frame: CS", last_cs, 0
  check_memory "frame: SS", last_frame_ss, V86_STACK
  check_memory "frame: ESP", last_frame_sp, 0x1000
  check_memory "frame: ES", last_frame_es, 0x1111
  check_memory "frame: DS", last_frame_ds, 0x2222
  check_memory "frame: FS", last_frame_fs, 0x3333
  check_memory "frame: GS", last_frame_gs, 0x4444
  mov eax, [last_flags]
  and eax, FL_VM
  check "frame: VM", eax, FL_VM
  mov eax, fs
  mov ebx, gs
  or eax, ebx
  check "FS and GS are null for the handler", eax, 0
  mov dword ptr [0x22220 + 0x10], 0x86868686
  v86_traps "load by DS", IOPL3, SYSTEM_CALL, 0, mov eax, [0x10]
  check "segment times 16", eax, 0x86868686
  v86_traps "MOV to a segment register takes any value", IOPL3, SYSTEM_CALL, 0, mov ds, ax
  check_memory "it was loaded", last_frame_ds, 0x8686
  v86_traps "PUSH", IOPL3, SYSTEM_CALL, 0, push ax
  check_memory "SP after PUSH", last_frame_sp, 0xffe
  v86_faults "LAR is #UD", IOPL3, V_UD, 0, lar ax, ax
  v86_faults "VEX is #UD", IOPL3, V_UD, 0, .byte 0xc4, 0xe2, 0x78, 0xf2, 0xc3
  v86_faults "VERR is #UD", IOPL3, V_UD, 0, verr ax
  v86_faults "LLDT is #UD", IOPL3, V_UD, 0, lldt ax
  v86_faults "HLT is #GP(0)", IOPL3, V_GP, 0, hlt
  v86_faults "MOV CR0 is #GP(0)", IOPL3, V_GP, 0, mov eax, cr0
  v86_faults "CLTS is #GP(0)", IOPL3, V_GP, 0, clts
  v86_faults "LGDT is #GP(0)", IOPL3, V_GP, 0, .byte 0x2e, 0x0f, 0x01, 0x16, 0, 0
  v86_faults "DIV by zero is #DE", IOPL3, V_DE, 0, .byte 0xd4, 0
  ret

sensitive:
  v86_faults "IOPL 0: INT is #GP(0)", FLAGS, V_GP, 0, int 0x21
  v86_faults "IOPL 0: PUSHF is #GP(0)", FLAGS, V_GP, 0, pushf
  v86_faults "IOPL 0: POPF is #GP(0)", FLAGS, V_GP, 0, popf
  v86_faults "IOPL 0: CLI is #GP(0)", FLAGS, V_GP, 0, cli
  v86_faults "IOPL 0: STI is #GP(0)", FLAGS, V_GP, 0, sti
  v86_faults "IOPL 0: IRET is #GP(0)", FLAGS, V_GP, 0, iret
  v86_traps "IOPL 0: INT3 goes through the IDT", FLAGS, V_BP, 0, int3
  v86_faults "IOPL 0: NOP", FLAGS, V_UD, 0, ud2
  ret

with_iopl:
  v86_traps "IOPL 3: INT goes through the IDT", IOPL3, SYSTEM_CALL, 0, nop
  v86_faults "IOPL 3: INT through a gate of level 0 is #GP", IOPL3, V_GP, 0x21*8+2, int 0x21
  v86_traps "IOPL 3: PUSHF", IOPL3, SYSTEM_CALL, 0, pushf
  movzx eax, word ptr [V86_STACK * 16 + 0xffe]
  check "PUSHF shows IOPL", eax, FL_IOPL3+2
  v86_traps "IOPL 3: STI", IOPL3, SYSTEM_CALL, 0, sti
  mov eax, [last_flags]
  and eax, FL_IF
  check "STI sets IF", eax, FL_IF
  mov word ptr [V86_STACK * 16 + 0x1000], 2
  v86_traps "IOPL 3: POPF", IOPL3, SYSTEM_CALL, 0, popf
  mov eax, [last_flags]
  and eax, FL_IOPL3+FL_VM
  check "POPF keeps IOPL and VM", eax, FL_IOPL3+FL_VM
  # IRET within virtual-8086 mode.
  mov word ptr [V86_STACK * 16 + 0x1000], offset 1f
  mov word ptr [V86_STACK * 16 + 0x1002], 0
  mov word ptr [V86_STACK * 16 + 0x1004], 0x401
  arm 2f, 2f
  enter_v86 3f, IOPL3
use16
3:
  iret
1:
  int SYSTEM_CALL
use32
2:
  fault_result "IOPL 3: IRET", SYSTEM_CALL, 0
  mov eax, [last_flags]
  and eax, FL_IOPL3+FL_VM+0x401
  check "IRET loads flags", eax, FL_IOPL3+FL_VM+0x401
  # Through a gate to a code segment of level 3 or conforming: #GP.
  mov word ptr [idt + 8 * 0x90 + 2], USER_CODE32
  mov byte ptr [idt + 8 * 0x90 + 5], 0xee
  v86_faults "gate to level 3 is #GP", IOPL3, V_GP, USER_CODE32-3, int 0x90
  ret

# The I/O bitmap counts whatever IOPL is.
ports:
  v86_faults "IN of a forbidden port is #GP(0)", IOPL3, V_GP, 0, in al, 0x80
  mov byte ptr [tss + 104 + 32 + 0x10], 0xfe
  v86_traps "IN of an allowed port", IOPL3, SYSTEM_CALL, 0, in al, 0x80
  v86_faults "IN of an allowed and a forbidden one is #GP(0)", IOPL3, V_GP, 0, in ax, 0x80
  v86_faults "OUT beyond the limit is #GP(0)", IOPL3, V_GP, 0, out 0xf8, eax
  mov byte ptr [tss + 104 + 32 + 0x10], 0xff
  ret

limits:
  mov ebx, 0xffff
  v86_faults "word at 0xffff is #GP(0)", IOPL3, V_GP, 0, mov ax, [bx]
  mov ebp, 0xffff
  v86_faults "word by BP at 0xffff is #SS(0)", IOPL3, V_SS, 0, mov ax, [bp]
  mov ebx, 0x10000
  v86_faults "address beyond 64 KiB is #GP(0)", IOPL3, V_GP, 0, mov al, [ebx]
  ret

# CR4.VME: redirection by bitmap, VIF and VIP.
extensions:
  mov eax, cr4
  or eax, CR4_VME
  mov cr4, eax
  .set VIRTUAL, FLAGS
  arm 1f, 2f
  enter_v86 3f, "VIRTUAL+FL_VIF"
use16
3:
  cli
2:
  hlt
use32
1:
  fault_result "VME: CLI is allowed, HLT is not", V_GP, 0
  mov eax, [last_flags]
  and eax, FL_VIF
  check "VME: CLI clears VIF", eax, 0
  v86_faults "VME: redirected bit set and IOPL 0: INT is #GP(0)", VIRTUAL, V_GP, 0, int 0x21
  # Vector 0x21 goes to the 8086 program's own table.
  and byte ptr [tss + 104 + 4], 0xfd
  mov word ptr [4 * 0x21], offset handler21
  mov word ptr [4 * 0x21 + 2], 0
  mov dword ptr [V86_STACK * 16 + 0xff8], 0
  arm 1f, 1f
  enter_v86 2f, "VIRTUAL+FL_VIF"
use16
2:
  int 0x21
use32
1:
  mov eax, [last_vector]
  check "VME: INT went to the 8086 handler", eax, V_BP
  movzx eax, word ptr [V86_STACK * 16 + 0xffa]
  check "VME: return address", eax, "offset 2b + 2"
  movzx eax, word ptr [V86_STACK * 16 + 0xffe]
  and eax, FL_IF+FL_IOPL3
  check "VME: pushed FLAGS have VIF as IF, and IOPL 3", eax, FL_IF+FL_IOPL3
  mov eax, [last_flags]
  and eax, FL_VIF
  check "VME: VIF is clear in the handler", eax, 0
  check_memory "VME: three words were pushed", last_frame_sp, 0xffa
  arm 1f, 1f
  enter_v86 2f, "VIRTUAL"
use16
2:
  sti
  pushf
  int3
use32
1:
  mov eax, [last_flags]
  and eax, FL_VIF+FL_IF
  check "VME: STI sets VIF, not IF", eax, FL_VIF
  movzx eax, word ptr [V86_STACK * 16 + 0xffe]
  and eax, FL_IF+FL_IOPL3
  check "VME: PUSHF shows VIF and IOPL 3", eax, FL_IF+FL_IOPL3
  v86_faults "VME: STI with VIP is #GP(0)", "VIRTUAL+FL_VIP", V_GP, 0, sti
  mov word ptr [V86_STACK * 16 + 0x1000], FL_IF
  v86_faults "VME: POPF of IF with VIP is #GP(0)", "VIRTUAL+FL_VIP", V_GP, 0, popf
  mov word ptr [V86_STACK * 16 + 0x1000], FL_TF
  v86_faults "VME: POPF of TF is #GP(0)", VIRTUAL, V_GP, 0, popf
  v86_faults "VME: POPFD is #GP(0)", VIRTUAL, V_GP, 0, popfd
  v86_faults "VME: PUSHFD is #GP(0)", VIRTUAL, V_GP, 0, pushfd
  v86_faults "VME: 32-bit IRET is #GP(0)", VIRTUAL, V_GP, 0, iretd
  mov eax, cr4
  and eax, ~CR4_VME
  mov cr4, eax
  ret

use16
handler21:
  int3
use32
