# Interrupts in 64-bit mode: shadows, the local APIC (priorities, IPIs, timer, x2APIC), NMI, and the 8259 with the
# PIT through LINT0. SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)"; Intel 8259A, 8254.

.include "lib.inc"
.include "apic.inc"

use16
main:
  enter_long
  mov qword ptr [hook], offset record
  # 8259s: initialised, everything masked.
  .irp pair, 0x1120, 0x2021, 0x0421, 0x0121, 0xff21, 0x11a0, 0x28a1, 0x02a1, 0x01a1, 0xffa1
  mov al, \pair >> 8
  out (\pair) & 0xff, al
  .endr
  apic SVR, 0x1ff
  apic LVT_LINT0, MASKED
  apic LVT_LINT1, 0x400
  call registers
  call self
  call priorities
  call shadows
  call halted
  call timer
  call nmi
  call legacy
  call x2apic
  finish

registers:
  mov ecx, IA32_APIC_BASE
  rdmsr
  check "APIC base", eax, 0xfee00900
  read_apic ID
  check "APIC ID", eax, 0
  read_apic VERSION
  and eax, 0xf0
  check "integrated APIC", eax, 0x10
  read_apic SVR
  check "SVR", eax, 0x1ff
  read_apic LVT_TIMER
  check "the timer is masked after reset", eax, MASKED
  apic TPR, 0x12345678
  read_apic TPR
  check "TPR has 8 bits", eax, 0x78
  apic TPR, 0
  ret

self:
  clear_log
  self_ipi 0x50
  read_apic IRR+0x20
  check "IPI pending in IRR", eax, 1<<16
  nop
  check_log "IF clear: nothing comes", 0
  window
  check_log "IF set: it comes", 0x50
  read_apic IRR+0x20
  check "IRR is clear", eax, 0
  read_apic ISR+0x20
  check "ISR is clear after EOI", eax, 0
  clear_log
  self_ipi 0x50
  self_ipi 0x50
  window
  check_log "two of one vector are one", 0x50
  clear_log
  apic ICR_HIGH, 0
  apic ICR, 0x61
  window
  check_log "IPI to the own ID", 0x61
  clear_log
  apic ICR_HIGH, (1<<24)
  apic ICR, 0x61
  window
  check_log "IPI to another ID", 0
  apic ICR_HIGH, 0
  apic LVT_ERROR, 0x99
  apic ICR, (1<<18)|5
  window
  check_log "IPI with an illegal vector is an APIC error", 0x99
  apic LVT_ERROR, MASKED
  apic 0x280, 0
  read_apic 0x280
  test eax, 0x60                                # sent or received: one processor is both
  setnz al
  movzx eax, al
  check "ESR: illegal vector", eax, 1
  ret

priorities:
  clear_log
  self_ipi 0x40
  self_ipi 0x71
  self_ipi 0x72
  self_ipi 0x55
  sti
  nop
  nop
  nop
  nop
  nop
  cli
  check_log "the highest vector first", 0x40557172
  clear_log
  apic TPR, 0x50
  self_ipi 0x55
  window
  check_log "TPR holds its class back", 0
  self_ipi 0x61
  window
  check_log "and lets the next through", 0x61
  xor eax, eax
  mov cr8, rax
  window
  check_log "lowering CR8 lets it come", 0x5561
  # In service without EOI: PPR holds the class back.
  clear_log
  mov dword ptr [no_eoi], 1
  self_ipi 0x68
  window
  read_apic PPR
  check "PPR is the class in service", eax, 0x60
  read_apic ISR+0x30
  check "ISR", eax, 1<<8
  self_ipi 0x6f
  self_ipi 0x45
  window
  check_log "the same class waits", 0x68
  self_ipi 0x80
  window
  check_log "a higher class comes", 0x8068
  mov dword ptr [no_eoi], 0
  apic EOI, 0
  apic EOI, 0
  sti
  nop
  nop
  nop
  cli
  check_log "after EOI the others come", 0x456f8068
  ret

shadows:
  clear_log
  mov qword ptr [inside], offset .Lnote
  self_ipi 0x50
  xor esi, esi
  sti
  inc esi
  inc esi
  cli
  check "one instruction after STI", edi, 1
  clear_log
  self_ipi 0x50
  mov ecx, ss
  xor esi, esi
  sti
  mov ss, ecx
  inc esi
  inc esi
  cli
  and edi, ~3
  check "STI, MOV SS", edi, 0
  self_ipi 0x50
  xor esi, esi
  pushfq
  or dword ptr [rsp], FL_IF
  popfq
  inc esi
  cli
  check "POPF has no shadow", edi, 0
  mov qword ptr [inside], 0
  clear_log
  self_ipi 0x50
  sti
  cli
  nop
  check_log "STI, CLI leaves no room", 0
  window
  ret
.Lnote:
  mov edi, esi
  ret

halted:
  clear_log
  self_ipi 0x51
  sti
  hlt
  cli
  check_log "STI, HLT: the pending interrupt wakes", 0x51
  ret

timer:
  clear_log
  apic DIVIDE, 0xb
  apic LVT_TIMER, 0x52
  apic INITIAL, 1000
  read_apic CURRENT
  cmp eax, 1000
  setbe al
  movzx eax, al
  check "the timer counts down", eax, 1
  sti
  hlt
  cli
  check_log "one-shot timer", 0x52
  read_apic CURRENT
  check "it stops at 0", eax, 0
  clear_log
  apic LVT_TIMER, 0x20053
  apic INITIAL, 2000
  sti
  hlt
  hlt
  hlt
  cli
  apic INITIAL, 0
  mov eax, [log]
  and eax, 0xffffff
  check "periodic timer", eax, 0x535353
  window
  clear_log
  apic LVT_TIMER, MASKED|0x52
  apic INITIAL, 10
  mov ecx, 10000
1:
  dec ecx
  jnz 1b
  window
  check_log "masked timer", 0
  apic INITIAL, 0
  mov eax, 1
  cpuid
  bt ecx, 24
  setc al
  movzx eax, al
  check "CPUID: TSC deadline", eax, 1
  clear_log
  apic LVT_TIMER, 0x40054
  mfence
  rdtsc
  shl rdx, 32
  or rax, rdx
  add rax, 20000
  mov r8, rax
  mov rdx, rax
  shr rdx, 32
  mov ecx, IA32_TSC_DEADLINE
  wrmsr
  rdmsr
  cmp eax, r8d
  setz al
  movzx eax, al
  check "IA32_TSC_DEADLINE reads back", eax, 1
  sti
  hlt
  cli
  rdtsc
  shl rdx, 32
  or rax, rdx
  cmp rax, r8
  setae al
  movzx eax, al
  check "it is not early", eax, 1
  check_log "TSC deadline", 0x54
  mov ecx, IA32_TSC_DEADLINE
  rdmsr
  or eax, edx
  check "IA32_TSC_DEADLINE is 0 then", eax, 0
  clear_log
  mov ecx, IA32_TSC_DEADLINE
  mov eax, 1
  xor edx, edx
  wrmsr
  window
  check_log "a deadline in the past comes at once", 0x54
  apic LVT_TIMER, MASKED
  ret

nmi:
  clear_log
  apic ICR, 0x400
  nop
  nop
  check_log "NMI by IPI, IF clear", 2
  clear_log
  mov qword ptr [inside], offset .Lsend_nmi
  apic ICR, 0x400
  nop
  nop
  nop
  check_log "NMI is blocked until IRET", 0x0202
  check_memory "the second came after IRET", nested, 1
  ret
.Lsend_nmi:
  mov qword ptr [inside], offset .Lnever
  apic ICR, 0x400
  nop
  nop
  mov eax, [log_count]
  mov [nested], eax
  mov qword ptr [inside], 0
  ret
.Lnever:
  mov dword ptr [nested], 99
  ret

# 8259 through LINT0 as ExtINT; the PIT on IRQ 0.
legacy:
  clear_log
  apic LVT_LINT0, 0x700
  mov al, 0xfe
  out 0x21, al
  mov al, 0x30                                  # channel 0, mode 0
  out 0x43, al
  mov al, 100
  out 0x40, al
  xor al, al
  out 0x40, al
  sti
  hlt
  cli
  check_log "PIT mode 0 through LINT0", 0x20
  clear_log
  mov al, 0x34                                  # mode 2
  out 0x43, al
  mov al, 200
  out 0x40, al
  xor al, al
  out 0x40, al
  sti
  hlt
  hlt
  hlt
  cli
  mov eax, [log]
  and eax, 0xffffff
  check "PIT mode 2, three times", eax, 0x202020
  # In service: no second one before EOI.
  mov al, 0x0b
  out 0x20, al
  in al, 0x20
  movzx eax, al
  check "ISR of the 8259 is clear", eax, 0
  clear_log
  apic LVT_LINT0, MASKED
  mov ecx, 20000
1:
  dec ecx
  jnz 1b
  window
  check_log "LINT0 masked", 0
  mov al, 0xff
  out 0x21, al
  ret

x2apic:
  mov ecx, 0x802
  faults "x2APIC MSR in xAPIC mode is #GP(0)", V_GP, 0, rdmsr
  mov qword ptr [hook], offset record
  mov eax, 1
  cpuid
  bt ecx, 21
  setc al
  movzx eax, al
  check "CPUID: x2APIC", eax, 1
  write_msr IA32_APIC_BASE, 0xfee00d00
  mov ecx, 0x802
  rdmsr
  check "x2APIC ID", eax, 0
  mov ecx, 0x80d
  rdmsr
  check "x2APIC LDR", eax, 1
  clear_log
  write_msr 0x83f, 0x57
  mov ecx, 0x822
  rdmsr
  check "x2APIC IRR", eax, 1<<23
  mov dword ptr [no_eoi], 1
  window
  check_log "x2APIC self IPI", 0x57
  write_msr 0x80b, 0
  clear_log
  write_msr 0x830, 0x40058, 0
  window
  write_msr 0x80b, 0
  check_log "x2APIC ICR", 0x58
  write_msr 0x808, 0x70
  mov rax, cr8
  check "x2APIC TPR", eax, 7
  write_msr 0x808, 0
  mov ecx, 0x80b
  mov eax, 1
  xor edx, edx
  faults "x2APIC EOI of 1 is #GP(0)", V_GP, 0, wrmsr
  mov ecx, 0x802
  faults "x2APIC ID is read-only", V_GP, 0, wrmsr
  mov ecx, 0x808
  mov eax, 0x100
  faults "x2APIC TPR above 8 bits is #GP(0)", V_GP, 0, wrmsr
  mov ecx, 0x831
  faults "x2APIC has no ICR high", V_GP, 0, rdmsr
  mov ecx, IA32_APIC_BASE
  mov eax, 0xfee00900
  xor edx, edx
  faults "x2APIC to xAPIC is #GP(0)", V_GP, 0, wrmsr
  mov eax, 0xfee00500
  faults "x2APIC without the APIC is #GP(0)", V_GP, 0, wrmsr
  write_msr IA32_APIC_BASE, 0xfee00100
  mov eax, 1
  cpuid
  bt edx, 9
  setc al
  movzx eax, al
  check "CPUID hides a disabled APIC", eax, 0
  write_msr IA32_APIC_BASE, 0xfee00900
  ret

.data
nested: .quad 0
