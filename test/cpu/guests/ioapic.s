# The I/O APIC: registers, edges and levels, remote IRR, masks, polarity, delivery modes, destinations, EOI; and the
# 8259s through it (virtual wire). The wire is that of COM1, which its interrupt enable register raises and lowers.
# Intel 82093AA; SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)".

.include "lib.inc"
.include "apic.inc"

.set IO_APIC, 0xfec00000
.set PIN_SERIAL, 4
.set PIN_PIT, 2
.set PIN_8259, 0
.set IER, COM1 + 1
.set MCR, COM1 + 4
.set LOW_ACTIVE, 1 << 13
.set REMOTE_IRR, 1 << 14
.set LEVEL, 1 << 15
.set LOGICAL, 1 << 11
.set NMI_MODE, 4 << 8
.set EXTINT, 7 << 8
.set LDR, 0xd0
.set DFR, 0xe0
.set TMR, 0x180

# Register `index` becomes `value`; RBX is lost.
.macro io_apic index, value
  mov ebx, IO_APIC
  mov dword ptr [rbx], \index
  mov dword ptr [rbx + 0x10], \value
.endm

.macro read_io_apic index
  mov ebx, IO_APIC
  mov dword ptr [rbx], \index
  mov eax, [rbx + 0x10]
.endm

# Pin with the low half of its entry, for the processor with ID 0.
.macro entry pin, low, high=0
  io_apic 0x11+2*\pin, \high
  io_apic 0x10+2*\pin, "\low"
.endm

# Reports print on the same port, and each byte moves the wire: it is low and its pin masked meanwhile.
.macro wire_up
  mov dx, IER
  mov al, 2                                     # transmitter empty
  out dx, al
.endm

.macro wire_down
  mov dx, IER
  xor al, al
  out dx, al
.endm

# What the pin has left: wire low, pin masked, nothing in service, EAX kept.
.macro quiet
  mov r8d, eax
  wire_down
  entry PIN_SERIAL, MASKED
  mov eax, r8d
.endm

# How many interrupts came, and the latest.
.macro check_came name, count, vectors=0
  quiet
  check_memory "\name: how many", log_count, \count
  mov eax, [log]
  check "\name", eax, \vectors
.endm

use16
main:
  enter_long
  mov qword ptr [hook], offset record
  .irp pair, 0x1120, 0x2021, 0x0421, 0x0121, 0xff21, 0x11a0, 0x28a1, 0x02a1, 0x01a1, 0xffa1
  mov al, \pair >> 8
  out (\pair) & 0xff, al
  .endr
  mov dx, MCR
  mov al, 8                                     # OUT2 lets the interrupt out
  out dx, al
  wire_down
  apic SVR, 0x1ff
  apic LVT_LINT0, MASKED
  call registers
  call edges
  call levels
  call remote_irr
  call polarity
  call delivery_modes
  call destinations
  call virtual_wire
  call timer_pin
  finish

registers:
  read_io_apic 1
  check "version 20H, 24 pins", eax, 0x00170020
  io_apic 0, -1
  read_io_apic 0
  check "ID has four bits", eax, 0x0f000000
  io_apic 0, 0
  xor esi, esi
  mov edi, 24
1:
  lea eax, [rsi * 2 + 0x10]
  mov ebx, IO_APIC
  mov [rbx], eax
  cmp dword ptr [rbx + 0x10], MASKED
  jne 1f
  inc esi
  cmp esi, edi
  jb 1b
1:
  check "all pins are masked after reset", esi, 24
  io_apic 0x10+2*5, -1
  read_io_apic 0x10+2*5
  check "delivery status and remote IRR are read-only", eax, 0x1afff
  io_apic 0x11+2*5, -1
  read_io_apic 0x11+2*5
  check "the destination has eight bits", eax, 0xff000000
  entry 5, MASKED
  io_apic 0x40, 0x12345678
  read_io_apic 0x40
  check "no register behind the table", eax, 0
  ret

edges:
  clear_log
  entry PIN_SERIAL, 0x60
  wire_up
  read_apic IRR+0x30
  mov r9d, eax
  read_apic TMR+0x30
  mov r10d, eax
  window
  window
  check_came "one interrupt for an edge", 1, 0x60
  check "the edge went to IRR", r9d, 1
  check "TMR is clear for an edge", r10d, 0
  clear_log
  entry PIN_SERIAL, 0x60
  wire_up
  wire_down
  wire_up
  window
  wire_down
  wire_up
  window
  check_came "two edges before it is taken are one", 2, 0x6060
  clear_log
  wire_up
  entry PIN_SERIAL, 0x60
  window
  check_came "an edge on a masked pin is lost", 0
  ret

levels:
  clear_log
  mov dword ptr [no_eoi], 1
  entry PIN_SERIAL, LEVEL+0x61
  wire_up
  read_io_apic 0x10+2*PIN_SERIAL
  mov r9d, eax
  read_apic TMR+0x30
  mov r10d, eax
  window
  wire_down
  wire_up
  window
  quiet
  check "remote IRR is set", r9d, LEVEL+REMOTE_IRR+0x61
  check "TMR is set for a level", r10d, 2
  check_memory "nothing more while it is in service", log_count, 1
  apic EOI, 0
  clear_log
  entry PIN_SERIAL, LEVEL+0x61
  wire_up
  window
  apic EOI, 0                                   # the wire is still up
  window
  wire_down
  apic EOI, 0
  window
  read_io_apic 0x10+2*PIN_SERIAL
  mov r9d, eax
  check_came "it comes again as long as the level is there", 2, 0x6161
  check "EOI has cleared remote IRR", r9d, LEVEL+0x61
  mov dword ptr [no_eoi], 0
  clear_log
  entry PIN_SERIAL, MASKED+LEVEL+0x62
  wire_up
  window
  mov r9d, [log_count]
  mov dword ptr [no_eoi], 1
  io_apic 0x10+2*PIN_SERIAL, LEVEL+0x62
  window
  wire_down
  apic EOI, 0
  mov dword ptr [no_eoi], 0
  check_came "a level waits for its mask", 1, 0x62
  check "while it is masked", r9d, 0
  ret

# Other ways in which remote IRR is cleared.
remote_irr:
  mov dword ptr [no_eoi], 1
  clear_log
  entry PIN_SERIAL, LEVEL+0x63
  wire_up
  window
  wire_down
  mov ebx, IO_APIC
  mov dword ptr [rbx + 0x40], 0x55
  read_io_apic 0x10+2*PIN_SERIAL
  mov r9d, eax
  mov ebx, IO_APIC
  mov dword ptr [rbx + 0x40], 0x63
  read_io_apic 0x10+2*PIN_SERIAL
  mov r10d, eax
  apic EOI, 0
  quiet
  check "the EOI register with another vector", r9d, LEVEL+REMOTE_IRR+0x63
  check "the EOI register clears remote IRR", r10d, LEVEL+0x63
  entry PIN_SERIAL, LEVEL+0x64
  wire_up
  window
  wire_down
  io_apic 0x10+2*PIN_SERIAL, LEVEL+MASKED+0x64
  read_io_apic 0x10+2*PIN_SERIAL
  mov r9d, eax
  io_apic 0x10+2*PIN_SERIAL, MASKED+0x64
  io_apic 0x10+2*PIN_SERIAL, LEVEL+MASKED+0x64
  read_io_apic 0x10+2*PIN_SERIAL
  mov r10d, eax
  apic EOI, 0
  quiet
  check "a write keeps remote IRR", r9d, LEVEL+MASKED+REMOTE_IRR+0x64
  check "to edge and back clears it", r10d, LEVEL+MASKED+0x64
  mov dword ptr [no_eoi], 0
  ret

polarity:
  clear_log
  entry PIN_SERIAL, LOW_ACTIVE+0x65
  wire_up
  window
  mov r9d, [log_count]
  wire_down
  window
  check_came "active low: an edge downwards", 1, 0x65
  check "active low: no edge upwards", r9d, 0
  clear_log
  mov dword ptr [no_eoi], 1
  wire_up
  entry PIN_SERIAL, LEVEL+LOW_ACTIVE+0x66
  window
  mov r9d, [log_count]
  wire_down
  window
  wire_up
  apic EOI, 0
  window
  mov dword ptr [no_eoi], 0
  entry PIN_SERIAL, MASKED
  check_came "active low: a low level", 1, 0x66
  check "active low: not a high one", r9d, 0
  ret

delivery_modes:
  clear_log
  entry PIN_SERIAL, 0x167
  wire_up
  window
  check_came "lowest priority", 1, 0x67
  clear_log
  entry PIN_SERIAL, NMI_MODE+0x68
  wire_up
  nop
  check_came "NMI, with interrupts shut", 1, V_NMI
  clear_log
  entry PIN_SERIAL, 0x269
  wire_up
  window
  check_came "SMI is for nobody here", 0
  clear_log
  entry PIN_SERIAL, NMI_MODE+LEVEL+0x68
  wire_up
  nop
  nop
  check_came "NMI is an edge whatever the entry says", 1, V_NMI
  # An illegal vector is an error of the receiver.
  clear_log
  apic 0x280, 0
  apic LVT_ERROR, 0x99
  entry PIN_SERIAL, 0x0f
  wire_up
  window
  apic LVT_ERROR, MASKED
  apic 0x280, 0
  read_apic 0x280
  mov r9d, eax
  check_came "vector 15 is an APIC error", 1, 0x99
  check "ESR: received illegal vector", r9d, 0x40
  ret

# Sends an edge to `destination` (of the entry's high half) with `flags`; the number that came is in R9.
.macro send flags, destination
  clear_log
  entry PIN_SERIAL, "\flags + 0x70", (\destination)<<24
  wire_up
  window
  quiet
  mov r9d, [log_count]
.endm

destinations:
  send 0, 0
  check "physical: the own ID", r9d, 1
  send 0, 5
  check "physical: another ID", r9d, 0
  send 0, 0xff
  check "physical: broadcast", r9d, 1
  apic DFR, -1
  apic LDR, 0x02000000
  send LOGICAL, 0x02
  check "flat: the own bit", r9d, 1
  send LOGICAL, 0x83
  check "flat: among others", r9d, 1
  send LOGICAL, 0x04
  check "flat: another bit", r9d, 0
  send LOGICAL, 0xff
  check "flat: broadcast", r9d, 1
  send LOGICAL, 0
  check "flat: nobody", r9d, 0
  apic DFR, 0x0fffffff
  apic LDR, 0x21000000
  send LOGICAL, 0x21
  check "cluster: the own one", r9d, 1
  send LOGICAL, 0x2f
  check "cluster: among others of it", r9d, 1
  send LOGICAL, 0x22
  check "cluster: another one of it", r9d, 0
  send LOGICAL, 0x11
  check "cluster: another cluster", r9d, 0
  send LOGICAL, 0xff
  check "cluster: broadcast", r9d, 1
  apic DFR, -1
  apic LDR, 0
  ret

# INTR of the 8259s is also on pin 0, as ExtINT: the vector is the 8259's.
virtual_wire:
  clear_log
  entry PIN_8259, EXTINT
  mov al, 0xef
  out 0x21, al                                  # IRQ 4
  wire_up
  window
  mov al, 0xff
  out 0x21, al
  wire_down
  entry PIN_8259, MASKED
  check_came "ExtINT through the I/O APIC", 1, 0x24
  # The same through LINT0, which is a level: it comes with the mask.
  clear_log
  apic LVT_LINT0, MASKED+0x700
  mov al, 0xef
  out 0x21, al
  wire_up
  window
  mov r9d, [log_count]
  apic LVT_LINT0, 0x700
  window
  mov al, 0xff
  out 0x21, al
  apic LVT_LINT0, MASKED
  check_came "ExtINT through LINT0", 1, 0x24
  check "LINT0 masked", r9d, 0
  # A request that is gone before the acknowledge is not seen.
  clear_log
  apic LVT_LINT0, 0x700
  mov al, 0xef
  out 0x21, al
  wire_up
  wire_down
  window
  mov al, 0xff
  out 0x21, al
  apic LVT_LINT0, MASKED
  check_came "a request that is gone", 0
  # LINT0 as a fixed interrupt takes the vector from the table.
  clear_log
  apic LVT_LINT0, 0x6a
  mov al, 0xef
  out 0x21, al
  wire_up
  window
  mov al, 0xff
  out 0x21, al
  apic LVT_LINT0, MASKED
  check_came "fixed LINT0", 1, 0x6a
  # Without a local APIC INTR goes straight to the processor.
  clear_log
  write_msr IA32_APIC_BASE, 0xfee00100
  mov al, 0xef
  out 0x21, al
  wire_up
  window
  mov al, 0xff
  out 0x21, al
  wire_down
  write_msr IA32_APIC_BASE, 0xfee00900
  apic SVR, 0x1ff
  check_memory "INTR without a local APIC", log, 0x24
  ret

timer_pin:
  clear_log
  entry PIN_PIT, 0x6b
  mov al, 0x34
  out 0x43, al
  mov al, 200
  out 0x40, al
  xor al, al
  out 0x40, al
  sti
  hlt
  hlt
  cli
  entry PIN_PIT, MASKED
  mov eax, [log]
  and eax, 0xffff
  check "the PIT on pin 2", eax, 0x6b6b
  ret
