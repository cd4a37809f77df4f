# Fast system calls, SWAPGS, segment bases and FSGSBASE in 64-bit mode. SDM volume 3, "Fast System Calls in 64-Bit Mode",
# "Performing Fast Calls to System Procedures with the SYSENTER and SYSEXIT Instructions", "Segmentation in IA-32e Mode".

.include "lib.inc"

.set IA32_STAR, 0xc0000081
.set IA32_LSTAR, 0xc0000082
.set IA32_FMASK, 0xc0000084
.set IA32_FS_BASE, 0xc0000100
.set IA32_GS_BASE, 0xc0000101
.set IA32_KERNEL_GS_BASE, 0xc0000102
.set IA32_SYSENTER_CS, 0x174
.set IA32_SYSENTER_ESP, 0x175
.set IA32_SYSENTER_EIP, 0x176
.set DATA_BASE, FREE            # data segment with base 0x1234000

use16
main:
  enter_long
  call fast_calls
  call bases
  finish

fast_calls:
  write_msr IA32_STAR, 0,((USER_CODE32<<16)|CODE64)
  write_msr IA32_LSTAR, "offset .Lsyscall"
  write_msr IA32_FMASK, FL_CF+FL_IF
  mov qword ptr [resume_sp], rsp
  enter_user 1f
1:
  stc
  std
  syscall
2:
.Lsyscall:
  mov rbx, rsp
  mov rsp, [resume_sp]
  pushfq
  pop rdx
  cld
  mov esi, cs
  mov edi, ss
  check64 "SYSCALL sets RCX", rcx, "offset 2b"
  check64 "SYSCALL keeps RSP", rbx, USER_STACK
  check "SYSCALL loads CS", esi, CODE64
  check "SYSCALL loads SS", edi, DATA_SYSCALL
  and r11d, 0x400 + FL_CF
  check "SYSCALL saves flags", r11d, 0x400+FL_CF
  and edx, FL_CF + FL_IF + 0x400
  check "SYSCALL masks flags", edx, 0x400
  mov eax, DATA
  mov ss, eax

  # SYSRET to 64-bit code; its CS and SS are as in a flat GDT.
  arm 2f, 2f
  mov ecx, offset 1f
  mov r11d, 2 + FL_RF + FL_VM + FL_CF
  sysretq
1:
  mov esi, cs
  mov edi, ss
  int SYSTEM_CALL
2:
  fault_result "SYSRETQ reaches level 3", SYSTEM_CALL, 0
  check "SYSRETQ loads CS", esi, USER_CODE64
  check "SYSRETQ loads SS", edi, USER_DATA
  mov eax, [last_flags]
  and eax, FL_RF + FL_VM + FL_CF
  check "SYSRETQ loads RFLAGS without RF and VM", eax, FL_CF
  movabs rcx, 0x800000000000
  mov r11d, 2
  faults "SYSRETQ to non-canonical is #GP(0)", V_GP, 0, sysretq
  user_faults "SYSRETQ at level 3 is #GP(0)", V_GP, 0, sysretq

  # SYSRET to compatibility mode, where SYSCALL does not exist (SDM volume 2, "SYSCALL").
  mov ecx, offset 1f
  mov r11d, 2
  arm 2f, 3f
  sysretd
use32
1:
  mov esi, cs
3:
  syscall
use64
2:
  fault_result "SYSCALL in compatibility mode is #UD", V_UD, 0
  check "SYSRETD loads CS", esi, USER_CODE32

  mov ecx, EFER
  rdmsr
  and eax, ~EFER_SCE
  wrmsr
  faults "SYSCALL without SCE is #UD", V_UD, 0, syscall
  faults "SYSRET without SCE is #UD", V_UD, 0, sysretq
  mov ecx, EFER
  rdmsr
  or eax, EFER_SCE
  wrmsr

  write_msr IA32_SYSENTER_CS, 0
  faults "SYSENTER with null CS is #GP(0)", V_GP, 0, sysenter
  faults "SYSEXIT with null CS is #GP(0)", V_GP, 0, .byte 0x0f, 0x35
  write_msr IA32_SYSENTER_CS, CODE64
  write_msr IA32_SYSENTER_ESP, STACK-0x1000
  write_msr IA32_SYSENTER_EIP, "offset .Lsysenter"
  user_faults "SYSEXIT at level 3 is #GP(0)", V_GP, 0, .byte 0x0f, 0x35
  mov qword ptr [resume_sp], rsp
  enter_user 1f
1:
  sysenter
.Lsysenter:
  mov rbx, rsp
  mov esi, cs
  mov edi, ss
  mov rsp, [resume_sp]
  check64 "SYSENTER loads RSP", rbx, STACK-0x1000
  check "SYSENTER loads CS", esi, CODE64
  check "SYSENTER loads SS", edi, DATA_SYSCALL
  mov eax, DATA
  mov ss, eax
  arm 2f, 2f
  mov ecx, USER_STACK-16
  mov edx, offset 1f
  .byte 0x48, 0x0f, 0x35             # SYSEXIT with REX.W
1:
  mov esi, cs
  int SYSTEM_CALL
2:
  fault_result "SYSEXIT to 64-bit code", SYSTEM_CALL, 0
  check "SYSEXIT loads 64-bit CS", esi, USER_CODE64
  check_memory "SYSEXIT loads RSP", last_frame_sp, USER_STACK-16
  arm 2f, 2f
  mov ecx, USER_STACK-16
  mov edx, offset 1f
  .byte 0x0f, 0x35                   # SYSEXIT
use32
1:
  mov esi, cs
  int SYSTEM_CALL
use64
2:
  fault_result "SYSEXIT to 32-bit code", SYSTEM_CALL, 0
  check "SYSEXIT loads 32-bit CS", esi, USER_CODE32
  ret

bases:
  write_msr IA32_GS_BASE, 0x11111000
  write_msr IA32_KERNEL_GS_BASE, 0x22222000
  swapgs
  mov ecx, IA32_GS_BASE
  rdmsr
  check "SWAPGS loads the base", eax, 0x22222000
  mov ecx, IA32_KERNEL_GS_BASE
  rdmsr
  check "SWAPGS keeps the old one", eax, 0x11111000
  user_faults "SWAPGS at level 3 is #GP(0)", V_GP, 0, swapgs
  faults "RDFSBASE without the bit is #UD", V_UD, 0, rdfsbase rax
  set_bits cr4, CR4_FSGSBASE
  movabs rbx, 0xffff800000001000
  wrfsbase rbx
  rdfsbase rcx
  check64 "WRFSBASE, RDFSBASE", rcx, 0xffff800000001000
  wrgsbase ebx
  rdgsbase rcx
  check64 "WRGSBASE of 32 bits", rcx, 0x1000
  movabs rbx, 0x800000000000
  faults "WRFSBASE of non-canonical is #GP(0)", V_GP, 0, wrfsbase rbx
  user_faults "RDFSBASE at level 3", SYSTEM_CALL, 0, rdfsbase rax
  mov ecx, IA32_FS_BASE
  xor eax, eax
  mov edx, 0x8000
  faults "WRMSR of a non-canonical base is #GP(0)", V_GP, 0, wrmsr
  mov ecx, IA32_LSTAR
  faults "WRMSR of a non-canonical LSTAR is #GP(0)", V_GP, 0, wrmsr

  # A load of FS takes the descriptor's base; one of null clears nothing that user code relies on here.
  descriptor DATA_BASE, 0x1234000, 0xfffff, 0xf3, 0xc
  mov eax, DATA_BASE
  mov fs, eax
  rdfsbase rcx
  check64 "load of FS loads the base", rcx, 0x1234000
  mov dword ptr [0x1234010], 0x600df00d
  mov eax, fs:[0x10]
  check "FS base counts", eax, 0x600df00d
  mov eax, DATA_BASE
  mov es, eax
  mov dword ptr [SCRATCH], 0x5c0a7c11
  mov eax, es:[SCRATCH]
  check "ES base does not", eax, 0x5c0a7c11
  mov eax, USER_DATA
  mov es, eax
  xor eax, eax
  mov fs, eax
  mov gs, eax
  clear_bits cr4, CR4_FSGSBASE
  ret
