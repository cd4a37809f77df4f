# Protected mode, 16 and 32 bits: descriptor checks, limits, gates, far returns, IRET.
# SDM volume 3, "Protection"; volume 2, "MOV", "LAR", "LSL", "CALL", "RET", "IRET".

.include "lib.inc"

.set READ_ONLY, 0x60
.set EXPAND_DOWN, 0x68          # offsets above 0xfff, up to 4 GiB
.set EXPAND_DOWN16, 0x70        # offsets above 0xfff, up to 64 KiB
.set SMALL, 0x78                # limit 0xfff
.set ABSENT, 0x80
.set ABSENT_CODE, 0x88
.set CONFORMING, 0x90           # code, level 0
.set EXECUTE_ONLY, 0x98
.set LOCAL_TABLE, 0xa0
.set GATE, 0xa8                 # call gate to level 0 with two parameters
.set GATE_SAME, 0xb0            # call gate for level 0 only
.set GATE16, 0xb8
.set STACK16, 0xc0              # 16-bit stack
.set CODE_LEVEL1, 0xc8
.set DATA_LEVEL1, 0xd0
.set SMALL_CODE, 0xd8
.set BEYOND, GDT_END

use16
main:
  enter_protected
  call descriptors
  call data_loads
  call stack_loads
  call accesses
  call questions
  call local_table
  call far_jumps
  call call_gates
  call interrupt_gates
  call returns
  call sixteen_bits
  finish

descriptors:
  descriptor READ_ONLY, 0, 0xfffff, 0x91, 0xc
  descriptor EXPAND_DOWN, 0, 0, 0x97, 0xc
  descriptor EXPAND_DOWN16, 0, 0xfff, 0x97, 0
  descriptor SMALL, SCRATCH, 0xfff, 0xf3, 4
  descriptor ABSENT, 0, 0xfffff, 0x13, 0xc
  descriptor ABSENT_CODE, 0, 0xfffff, 0x1b, 0xc
  descriptor CONFORMING, 0, 0xfffff, 0x9f, 0xc
  descriptor EXECUTE_ONLY, 0, 0xfffff, 0x99, 0xc
  descriptor LOCAL_TABLE, "offset ldt", 15, 0x82, 0
  descriptor STACK16, 0, 0xffff, 0x93, 0
  descriptor CODE_LEVEL1, 0, 0xfffff, 0xbb, 0xc
  descriptor DATA_LEVEL1, 0, 0xfffff, 0xb3, 0xc
  descriptor SMALL_CODE, 0, 0xf, 0x9b, 4
  gate "gdt+GATE", CODE32, "offset gate_entry", 0xec, 2
  gate "gdt+GATE_SAME", CODE32, "offset gate_entry", 0x8c
  gate "gdt+GATE16", CODE32, "offset gate_entry16", 0xe4, 0
  ret

# Loads FS with a selector.
.macro load name, selector, vector, error
  mov eax, \selector
  faults "\name", \vector, \error, mov fs, eax
.endm

.macro user_load name, selector, vector, error
  mov eax, \selector
  user_faults "\name", \vector, \error, mov fs, eax
.endm

data_loads:
  load "null", 0, NONE, 0
  load "null with RPL 3", 3, NONE, 0
  load "data", DATA, NONE, 0
  load "read-only data", READ_ONLY, NONE, 0
  load "readable code", CODE32, NONE, 0
  load "execute-only code is #GP", EXECUTE_ONLY, V_GP, EXECUTE_ONLY
  load "beyond the GDT is #GP", BEYOND, V_GP, BEYOND
  load "its RPL is not in the error code", BEYOND+3, V_GP, BEYOND
  load "empty LDT is #GP", 0xc, V_GP, 0xc
  load "absent is #NP", ABSENT, V_NP, ABSENT
  load "a TSS is #GP", TSS, V_GP, TSS
  load "a gate is #GP", GATE, V_GP, GATE
  load "RPL above DPL is #GP", DATA+3, V_GP, DATA
  load "level 1 data", DATA_LEVEL1, NONE, 0
  load "level 1 data with RPL 2 is #GP", DATA_LEVEL1+2, V_GP, DATA_LEVEL1
  load "conforming code with RPL 3", CONFORMING+3, NONE, 0
  load "code with RPL 3 is #GP", CODE32+3, V_GP, CODE32
  user_load "user: data of level 0 is #GP", DATA, V_GP, DATA
  user_load "user: data of level 3 with RPL 0", USER_DATA-3, SYSTEM_CALL, 0
  user_load "user: conforming code of level 0", CONFORMING, SYSTEM_CALL, 0
  mov eax, 0
  mov fs, eax
  faults "access by null is #GP(0)", V_GP, 0, mov eax, fs:[0]
  faults "failing load", V_GP, BEYOND, mov gs, [beyond_selector]
  and byte ptr [gdt + READ_ONLY + 5], 0xfe
  mov eax, READ_ONLY
  mov fs, eax
  movzx eax, byte ptr [gdt + READ_ONLY + 5]
  check "a load sets the accessed bit", eax, 0x91
  xor eax, eax
  mov fs, eax
  lfs eax, [far_data]
  mov ebx, fs
  check "LFS loads FS", ebx, DATA
  check "LFS loads the offset", eax, 0x11223344
  push fs
  mov ebx, esp
  pop gs
  sub ebx, esp
  check "32-bit POP GS takes four bytes", ebx, -4
  ret

.macro load_stack name, selector, vector, error
  mov eax, \selector
  faults "\name", \vector, \error, mov ss, eax
  mov eax, DATA
  mov ss, eax
.endm

stack_loads:
  load_stack "SS: null is #GP(0)", 0, V_GP, 0
  load_stack "SS: read-only is #GP", READ_ONLY, V_GP, READ_ONLY
  load_stack "SS: code is #GP", CODE32, V_GP, CODE32
  load_stack "SS: RPL 3 is #GP", DATA+3, V_GP, DATA
  load_stack "SS: level 3 is #GP", USER_DATA, V_GP, USER_DATA-3
  load_stack "SS: level 1 is #GP", DATA_LEVEL1, V_GP, DATA_LEVEL1
  load_stack "SS: absent is #SS", ABSENT, V_SS, ABSENT
  load_stack "SS: beyond is #GP", BEYOND, V_GP, BEYOND
  load_stack "SS: data", DATA_SYSCALL, NONE, 0
  mov eax, DATA
  user_faults "user SS: level 0 is #GP", V_GP, DATA, mov ss, eax
  mov eax, USER_DATA - 3
  user_faults "user SS: RPL 0 is #GP", V_GP, USER_DATA-3, mov ss, eax
  ret

accesses:
  mov eax, READ_ONLY
  mov fs, eax
  faults "write to read-only is #GP(0)", V_GP, 0, mov fs:[SCRATCH], eax
  faults "read of read-only", NONE, 0, mov eax, fs:[SCRATCH]
  faults "read-modify-write of read-only is #GP(0)", V_GP, 0, inc dword ptr fs:[SCRATCH]
  mov eax, CODE32
  mov fs, eax
  faults "write to code is #GP(0)", V_GP, 0, mov fs:[SCRATCH], eax
  faults "write by CS is #GP(0)", V_GP, 0, mov cs:[SCRATCH], eax
  faults "read by CS", NONE, 0, mov eax, cs:[SCRATCH]
  mov eax, SMALL
  mov fs, eax
  faults "last doubleword", NONE, 0, mov eax, fs:[0xffc]
  faults "doubleword over the limit is #GP(0)", V_GP, 0, mov eax, fs:[0xffd]
  faults "byte over the limit is #GP(0)", V_GP, 0, mov al, fs:[0x1000]
  faults "wrapping offset is #GP(0)", V_GP, 0, mov eax, fs:[0xfffffffe]
  faults "store over the limit is #GP(0)", V_GP, 0, mov fs:[0xfff], ax
  mov eax, EXPAND_DOWN
  mov fs, eax
  faults "expand-down: at the limit is #GP(0)", V_GP, 0, mov al, fs:[0xfff]
  faults "expand-down: above", NONE, 0, mov al, fs:[0x1000]
  faults "expand-down: far above", NONE, 0, mov eax, fs:[SCRATCH]
  faults "expand-down: over the limit is #GP(0)", V_GP, 0, mov eax, fs:[0xffd]
  mov eax, EXPAND_DOWN16
  mov fs, eax
  faults "16-bit expand-down: above", NONE, 0, mov eax, fs:[0xfffc]
  faults "16-bit expand-down: over 64 KiB is #GP(0)", V_GP, 0, mov eax, fs:[0xfffd]
  faults "16-bit expand-down: beyond is #GP(0)", V_GP, 0, mov eax, fs:[0x10000]
  mov eax, SMALL
  mov es, eax
  mov edi, 0xff8
  mov ecx, 4
  cld
  faults "REP STOSD over the limit is #GP(0)", V_GP, 0, rep stosd
  check "REP STOSD: ECX", ecx, 2
  check "REP STOSD: EDI", edi, 0x1000
  mov eax, USER_DATA
  mov es, eax
  xor eax, eax
  mov fs, eax
  ret

# ZF and the result of LAR and LSL, VERR and VERW.
.macro ask name, instruction, selector, zf, result
  mov eax, \selector
  mov ebx, 0x55555555
  xor ecx, ecx
  \instruction ebx, eax
  setz cl
  check "\name: ZF", ecx, \zf
  check "\name", ebx, \result
.endm

.macro verify name, instruction, selector, zf
  mov eax, \selector
  xor ecx, ecx
  \instruction ax
  setz cl
  check "\name", ecx, \zf
.endm

questions:
  ask "LAR data", lar, DATA, 1, 0xcf9300
  ask "LAR small", lar, SMALL, 1, 0x40f300
  ask "LAR absent", lar, ABSENT, 1, 0xcf1300
  ask "LAR null", lar, 0, 0, 0x55555555
  ask "LAR beyond", lar, BEYOND, 0, 0x55555555
  ask "LAR RPL 3", lar, DATA+3, 0, 0x55555555
  ask "LAR conforming RPL 3", lar, CONFORMING+3, 1, 0xcf9f00
  ask "LAR TSS", lar, TSS, 1, 0x008b00
  ask "LAR call gate", lar, GATE, 1, 0xec00
  ask "LSL data", lsl, DATA, 1, -1
  ask "LSL small", lsl, SMALL, 1, 0xfff
  ask "LSL TSS", lsl, TSS, 1, 103
  ask "LSL call gate", lsl, GATE, 0, 0x55555555
  ask "LSL LDT", lsl, LOCAL_TABLE, 1, 15
  verify "VERR data", verr, DATA, 1
  verify "VERR code", verr, CODE32, 1
  verify "VERR execute-only", verr, EXECUTE_ONLY, 0
  verify "VERR null", verr, 0, 0
  verify "VERR TSS", verr, TSS, 0
  verify "VERR RPL 3", verr, DATA+3, 0
  verify "VERW data", verw, DATA, 1
  verify "VERW read-only", verw, READ_ONLY, 0
  verify "VERW code", verw, CODE32, 0
  mov eax, 0x1230
  mov ebx, 0x0003
  arpl ax, bx
  setz cl
  movzx ecx, cl
  check "ARPL raises RPL", eax, 0x1233
  check "ARPL sets ZF", ecx, 1
  mov ebx, 1
  arpl ax, bx
  setz cl
  movzx ecx, cl
  check "ARPL leaves a higher RPL", eax, 0x1233
  check "ARPL clears ZF", ecx, 0
  ret

local_table:
  mov eax, LOCAL_TABLE
  lldt ax
  sldt ebx
  check "SLDT", ebx, LOCAL_TABLE
  load "LDT entry", 0xc, NONE, 0
  load "beyond the LDT is #GP", 0x14, V_GP, 0x14
  mov eax, DATA
  faults "LLDT of data is #GP", V_GP, DATA, lldt ax
  mov eax, 0xc
  faults "LLDT of an LDT selector is #GP", V_GP, 0xc, lldt ax
  and byte ptr [gdt + LOCAL_TABLE + 5], 0x7f
  mov eax, LOCAL_TABLE
  faults "LLDT of absent is #NP", V_NP, LOCAL_TABLE, lldt ax
  xor eax, eax
  lldt ax
  load "LDT entry with a null LDT is #GP", 0xc, V_GP, 0xc
  mov fs, [null_selector]
  mov eax, TSS
  faults "LTR of busy is #GP", V_GP, TSS, ltr ax
  xor eax, eax
  faults "LTR of null is #GP(0)", V_GP, 0, ltr ax
  ret

.macro jump name, selector, vector, error
  faults "\name", \vector, \error, .byte 0xea, 0, 0, 0, 0, (\selector)&0xff, (\selector)>>8
.endm

far_jumps:
  jump "JMP null is #GP(0)", 0, V_GP, 0
  jump "JMP data is #GP", DATA, V_GP, DATA
  jump "JMP absent code is #NP", ABSENT_CODE, V_NP, ABSENT_CODE
  jump "JMP beyond is #GP", BEYOND, V_GP, BEYOND
  jump "JMP to level 3 is #GP", USER_CODE32, V_GP, USER_CODE32-3
  jump "JMP with RPL 3 is #GP", CODE32+3, V_GP, CODE32
  jump "JMP to an interrupt gate's type is #GP", LOCAL_TABLE, V_GP, LOCAL_TABLE
  faults "JMP beyond the limit is #GP(0)", V_GP, 0, .byte 0xea, 0x10, 0, 0, 0, SMALL_CODE, 0
  .byte 0xea
  .long 1f
  .word CONFORMING
1:
  mov eax, cs
  check "JMP to conforming code keeps CPL", eax, CONFORMING
  jump_far CODE32, 1f
1:
  user_faults "user JMP to level 0 is #GP", V_GP, CODE32, .byte 0xea, 0, 0, 0, 0, CODE32, 0
  # Conforming code runs at the caller's level.
  arm 2f, 2f
  enter_user 1f
1:
  .byte 0xea
  .long 3f
  .word CONFORMING
3:
  mov ebx, cs
  int SYSTEM_CALL
2:
  fault_result "user JMP to conforming code", SYSTEM_CALL, 0
  check "its CPL is 3", ebx, CONFORMING+3
  ret

gate_entry:
  mov ecx, cs
  mov edx, ss
  mov ebx, esp
  mov esi, [esp + 8]
  mov edi, [esp + 12]
  retf 8

gate_entry16:
  mov ebx, esp
  .byte 0x66
  retf

call_gates:
  arm 2f, 2f
  enter_user 1f
1:
  push 0x1111
  push 0x2222
  .byte 0x9a
  .long 0
  .word GATE
  mov eax, esp
  int SYSTEM_CALL
2:
  fault_result "call gate to level 0 and back", SYSTEM_CALL, 0
  check "gate: CS", ecx, CODE32
  check "gate: SS of the TSS", edx, DATA
  check "gate: CS:EIP, two parameters, SS:ESP", ebx, TRAP_STACK-24
  check "gate: first parameter", esi, 0x2222
  check "gate: second parameter", edi, 0x1111
  check "RETF 8 drops them on both stacks", eax, USER_STACK
  arm 2f, 2f
  enter_user 1f
1:
  .byte 0x9a
  .long 0
  .word GATE16
  int SYSTEM_CALL
2:
  fault_result "16-bit call gate", SYSTEM_CALL, 0
  check "16-bit gate pushes words", ebx, TRAP_STACK-8
  mov ebp, esp
  push 0x3333
  push 0x4444
  .byte 0x9a
  .long 0
  .word GATE
  sub ebp, esp
  check "call gate at the same level", ebp, 0
  check "gate at the same level copies nothing", esi, 0x4444
  user_faults "gate of level 0 is #GP", V_GP, GATE_SAME, .byte 0x9a, 0, 0, 0, 0, GATE_SAME, 0
  and byte ptr [gdt + GATE + 5], 0x7f
  user_faults "absent gate is #NP", V_NP, GATE, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  or byte ptr [gdt + GATE + 5], 0x80
  mov word ptr [gdt + GATE + 2], DATA
  user_faults "gate to data is #GP", V_GP, DATA, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  mov word ptr [gdt + GATE + 2], 0
  user_faults "gate to null is #GP(0)", V_GP, 0, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  mov word ptr [gdt + GATE + 2], ABSENT_CODE
  user_faults "gate to absent code is #NP", V_NP, ABSENT_CODE, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  mov word ptr [gdt + GATE + 2], CODE32
  user_faults "user JMP through a gate to level 0 is #GP", V_GP, CODE32, .byte 0xea, 0, 0, 0, 0, GATE, 0
  # Faults on the stack of the TSS. Their handler needs that stack as well: the gate leads to level 1 here.
  mov word ptr [gdt + GATE + 2], CODE_LEVEL1
  mov dword ptr [tss + 12], TRAP_STACK - 0x100
  mov word ptr [tss + 16], 0
  user_faults "null SS in the TSS is #TS(0)", V_TS, 0, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  mov word ptr [tss + 16], DATA
  user_faults "SS of another level in the TSS is #TS", V_TS, DATA, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  mov word ptr [tss + 16], BEYOND + 1
  user_faults "SS beyond the GDT in the TSS is #TS", V_TS, BEYOND, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  and byte ptr [gdt + DATA_LEVEL1 + 5], 0x7f
  mov word ptr [tss + 16], DATA_LEVEL1 + 1
  user_faults "absent SS in the TSS is #SS", V_SS, DATA_LEVEL1, .byte 0x9a, 0, 0, 0, 0, GATE, 0
  or byte ptr [gdt + DATA_LEVEL1 + 5], 0x80
  mov word ptr [gdt + GATE + 2], CODE32
  ret

interrupt_gates:
  mov byte ptr [idt + 8 * V_BP + 5], 0x6e
  faults "absent gate is #NP", V_NP, V_BP*8+2, int3
  mov byte ptr [idt + 8 * V_BP + 5], 0x8c
  faults "call gate in the IDT is #GP", V_GP, V_BP*8+2, int3
  mov byte ptr [idt + 8 * V_BP + 5], 0x8e
  user_faults "INT3 to a level 0 gate is #GP", V_GP, V_BP*8+2, int3
  user_faults "INT to a level 0 gate is #GP", V_GP, 0x33*8+2, int 0x33
  user_faults "UD2 does not mind", V_UD, 0, ud2
  mov byte ptr [idt + 8 * V_BP + 5], 0xee
  mov word ptr [idt + 8 * V_BP + 2], DATA
  faults "gate to data in the IDT is #GP", V_GP, DATA, int3
  mov word ptr [idt + 8 * V_BP + 2], CODE32
  mov al, 0x7f
  inc al
  traps "INTO", V_OF, 0, into
  xor eax, eax
  faults "INTO without OF", NONE, 0, into
  mov eax, 5
  faults "BOUND", V_BR, 0, bound eax, [bounds]
  check "BOUND keeps the register", eax, 5
  traps "INT3", V_BP, 0, int3
  # A trap gate leaves IF, an interrupt gate clears it.
  mov byte ptr [idt + 8 * 0x90 + 5], 0x8f
  mov dword ptr [hook], offset 1f
  arm 2f, 2f
  sti
  int 0x90
1:
  pushfd
  pop ebx
  cli
  mov esp, [resume_sp]
2:
  mov dword ptr [hook], 0
  and ebx, FL_IF
  check "a trap gate keeps IF", ebx, FL_IF
  arm 2f, 2f
  enter_user 1f
1:
  int SYSTEM_CALL
2:
  check_memory "user frame: CS", last_cs, USER_CODE32
  check_memory "user frame: SS", last_frame_ss, USER_DATA
  check_memory "user frame: ESP", last_frame_sp, USER_STACK
  mov dword ptr [resume], offset unexpected32
  ret

returns:
  mov ebp, esp
  push 0
  push 0
  faults "RETF to null is #GP(0)", V_GP, 0, retf
  push DATA
  push 0
  faults "RETF to data is #GP", V_GP, DATA, retf
  push ABSENT_CODE
  push 0
  faults "RETF to absent is #NP", V_NP, ABSENT_CODE, retf
  push CODE32 + 3
  push 0
  faults "RETF with RPL 3 to DPL 0 is #GP", V_GP, CODE32, retf
  push 0
  push 0
  push USER_CODE32
  push 0
  faults "RETF outward with a null SS is #GP(0)", V_GP, 0, retf
  push DATA
  push 0
  push USER_CODE32
  push 0
  faults "RETF outward with SS of level 0 is #GP", V_GP, DATA, retf
  mov esp, ebp
  arm 2f, 2f
  mov eax, DATA
  mov fs, eax
  mov eax, USER_DATA
  mov gs, eax
  push USER_DATA
  push USER_STACK - 8
  push USER_CODE32
  push offset 1f
  retf
1:
  mov ebx, esp
  mov ecx, fs
  mov edx, gs
  int SYSTEM_CALL
2:
  fault_result "RETF outward", SYSTEM_CALL, 0
  check "RETF loads ESP", ebx, USER_STACK-8
  check "RETF makes privileged segments null", ecx, 0
  check "RETF keeps others", edx, USER_DATA
  push 2
  push DATA
  push 0
  faults "IRET to data is #GP", V_GP, DATA, iretd
  push 2
  push SMALL_CODE
  push 0x10
  faults "IRET beyond the limit is #GP(0)", V_GP, 0, iretd
  mov esp, ebp
  push 0x3002 + FL_AC
  push CODE32
  push offset 1f
  iretd
1:
  pushfd
  pop eax
  push 2
  popfd
  check "IRET at the same level", eax, 0x3002+FL_AC
  arm 2f, 2f
  enter_user 1f
1:
  push 0x3202
  popfd
  pushfd
  pop ebx
  int SYSTEM_CALL
2:
  fault_result "user POPF", SYSTEM_CALL, 0
  check "user POPF keeps IOPL and IF", ebx, 2
  ret

# 16-bit code and stack segments.
sixteen_bits:
  jump_far CODE16, 1f
use16
1:
  mov bx, -1
  inc bx
  pushf
  pop ax
  mov ecx, 0x12345678
  push cx
  pop dx
  mov esi, esp
  push ecx
  mov edi, esp
  pop ecx
  jump_far CODE32, 1f
use32
1:
  sub esi, edi
  check "16-bit code: 32-bit PUSH", esi, 4
  movzx edx, dx
  check "16-bit code: 16-bit PUSH", edx, 0x5678
  mov eax, STACK16
  mov ebp, esp
  mov ss, eax
  mov esp, 0x12340900
  push eax
  mov ebx, esp
  mov eax, DATA
  mov ss, eax
  mov esp, ebp
  check "a 16-bit stack keeps the upper half of ESP", ebx, 0x123408fc
  mov eax, STACK16
  mov ss, eax
  mov sp, 0
  mov bx, 0x7fff
  push bx
  movzx ebx, sp
  mov eax, DATA
  mov ss, eax
  mov esp, ebp
  check "a 16-bit stack wraps", ebx, 0xfffe
  ret

.data
ldt:
  .quad 0
  .quad 0x00cf93000000ffff
far_data:
  .long 0x11223344
  .word DATA
beyond_selector: .word BEYOND
null_selector: .word 0
bounds: .long 0, 4
