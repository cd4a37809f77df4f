# NMIs in 64-bit mode: priority, shadows, HLT, what blocks them and which IRETs end that.
# SDM volume 3, "Nonmaskable Interrupt (NMI)", "Handling Multiple NMIs", "Masking Exceptions and Interrupts When Switching Stacks".

.include "lib.inc"
.include "apic.inc"

.set NMI, 0x400

.macro send_nmi
  apic ICR, NMI
.endm

# Runs `routine` within the next handler, with the frame of the event at [rsp + 32] and up.
.macro within routine
  mov qword ptr [inside], offset \routine
.endm

use16
main:
  enter_long
  mov qword ptr [hook], offset record
  apic SVR, 0x1ff
  apic LVT_LINT0, MASKED
  call delivery
  call blocked
  call unblocked
  call lines
  finish

delivery:
  clear_log
  self_ipi 0x50
  sti
  send_nmi                                      # the store ends before the interrupt is let in
  nop
  nop
  cli
  mov eax, [log_count]
  check "an interrupt and an NMI", eax, 2
  clear_log
  # The PIT through the 8259, whose INTR is an NMI at LINT0.
  .irp pair, 0x1120, 0x2021, 0x0421, 0x0121, 0xfe21, 0x3043, 0x6440, 0x0040
  mov al, \pair >> 8
  out (\pair) & 0xff, al
  .endr
  apic LVT_LINT0, 0x400
  hlt
  apic LVT_LINT0, MASKED
  mov al, 0xff
  out 0x21, al
  check_log "NMI wakes from HLT, IF clear", V_NMI
  # In the shadow of MOV SS, it comes one instruction later; STI does not hold it back for long.
  clear_log
  within .Lnote
  mov ecx, ss
  mov r8d, 0
  mov ebx, APIC + ICR
  mov ss, ecx
  mov dword ptr [rbx], NMI
  inc r8d
  inc r8d
  mov qword ptr [inside], 0
  check_log "NMI sent in the shadow of MOV SS", V_NMI
  check "it comes at that instruction's end", r9d, 0
  clear_log
  self_ipi 0x51
  send_nmi
  nop
  sti
  nop
  cli
  check_log "NMI comes with IF clear, the interrupt with IF set", 0x5102
  ret
.Lnote:
  mov r9d, r8d
  ret

blocked:
  clear_log
  mov dword ptr [nested], 0
  within .Lthree
  send_nmi
  nop
  nop
  nop
  check_memory "none comes within the handler", nested, 1
  check_log "three sent meanwhile are one", 0x0202
  # Interrupts are let in by an NMI handler that asks for them, NMIs are not.
  clear_log
  mov dword ptr [nested], 0
  within .Lopen
  send_nmi
  nop
  nop
  check_log "an interrupt within an NMI handler", 0x025002
  ret
.Lthree:
  mov qword ptr [inside], 0
  send_nmi
  send_nmi
  send_nmi
  nop
  mov eax, [log_count]
  mov [nested], eax
  ret
# The IRET of the interrupt's handler unblocks the NMI that is pending; that is the known trap for systems.
.Lopen:
  mov qword ptr [inside], 0
  send_nmi
  self_ipi 0x50
  sti
  nop
  nop
  cli
  ret

unblocked:
  # IRET of an exception within the handler.
  clear_log
  within .Lbreakpoint
  send_nmi
  nop
  nop
  check_log "the IRET of a nested exception unblocks NMIs", 0x0202
  check_memory "at once, within the handler", nested, 2
  # IRETD and IRETQ alike; a far RET is none.
  clear_log
  within .Lfar_return
  send_nmi
  nop
  nop
  check_memory "far RET leaves them blocked", nested, 1
  check_log "until IRETQ", 0x0202
  ret
.Lbreakpoint:
  mov qword ptr [inside], 0
  send_nmi
  mov rax, rsp
  push DATA
  push rax
  push 2
  push CODE64
  push offset 1f
  iretq
1:
  nop
  mov eax, [log_count]
  mov [nested], eax
  ret
.Lfar_return:
  mov qword ptr [inside], 0
  send_nmi
  push CODE64
  push offset 1f
  .byte 0x48, 0xcb                              # far RET
1:
  nop
  mov eax, [log_count]
  mov [nested], eax
  ret

# An NMI by the local APIC's own entries: the timer and the error entry have no delivery mode, the pins do.
lines:
  clear_log
  apic LVT_ERROR, 0x450
  apic ICR, 0x40005                             # illegal vector
  nop
  read_apic LVT_ERROR
  check "the error entry has no delivery mode", eax, 0x50
  check_log "it is a fixed interrupt", 0
  window
  check_log "which waits for IF", 0x50
  apic LVT_ERROR, MASKED
  # An NMI to all including the sender.
  clear_log
  apic ICR, 0x80000+NMI
  nop
  check_log "NMI to all", V_NMI
  clear_log
  apic ICR, 0xc0000+NMI
  nop
  check_log "NMI to all others", 0
  clear_log
  apic 0xd0, 0x04000000                         # LDR
  apic ICR_HIGH, 0x04000000
  apic ICR, 0x800+NMI
  nop
  check_log "NMI by logical destination", V_NMI
  clear_log
  apic ICR_HIGH, 0x02000000
  apic ICR, 0x800+NMI
  nop
  check_log "NMI to another logical destination", 0
  apic ICR_HIGH, 0
  # A software-disabled APIC still takes them; interrupts wait.
  clear_log
  self_ipi 0x52
  apic SVR, 0xff
  send_nmi
  nop
  window
  check_log "NMI with the APIC disabled by SVR", V_NMI
  apic SVR, 0x1ff
  window
  check_log "the interrupt waits for SVR", 0x5202
  ret

.data
nested: .quad 0
