# Guests that die or hang, one for each CASE of test/support/broken-guest.ts: multiboot kernels with symbols.
.intel_syntax noprefix

.set PRESENT_WRITABLE, 3

.text
.balign 8
.long 0x1badb002, 3, -(0x1badb002 + 3)

.code32
.globl _start
_start:
  mov esp, offset stack_end
  jmp case_start

.macro enter_long
  mov dword ptr [pml4], offset pdpt + PRESENT_WRITABLE
  mov dword ptr [pdpt], offset pd + PRESENT_WRITABLE
  # Page 0 is not there, all else below 1 GiB is: in pages of 4 KiB below 2 MiB, of 2 MiB above.
  mov dword ptr [pd], offset pt + PRESENT_WRITABLE
  mov ecx, 511
1:
  mov eax, ecx
  shl eax, 12
  or eax, PRESENT_WRITABLE
  mov [pt + ecx * 8], eax
  mov eax, ecx
  shl eax, 21
  or eax, 0x83
  mov [pd + ecx * 8], eax
  dec ecx
  jnz 1b
  mov eax, offset pml4
  mov cr3, eax
  mov eax, cr4
  or eax, 0x20
  mov cr4, eax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x900
  wrmsr
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  lgdt [gdtr]
  .byte 0xea
  .long 2f
  .word 8
.code64
2:
  mov rsp, offset stack_end
.endm

.ifdef bad_gdt
case_start:
  lgdt [short_gdtr]
  mov eax, 0x18
load_data_segment:
  mov ds, eax
.endif

.ifdef missing_idt_entry
case_start:
  enter_long
  lidt [idtr]
the_instruction:
  ud2
.endif

.ifdef unmapped_stack
case_start:
  enter_long
  lidt [idtr]
  mov rsp, 0x80000000
the_push:
  push rax
.endif

.ifdef jump_into_nothing
case_start:
  enter_long
  mov rax, 0xdeadbeef000
  call far_away
  hlt
far_away:
  jmp rax
.endif

.ifdef nx_violation
case_start:
  enter_long
  mov ebx, offset pt
  bts qword ptr [rbx + 0x10 * 8], 63
  mov eax, 0x10010
  call rax
  hlt
.endif

.ifdef null_call
case_start:
  enter_long
  xor eax, eax
call_the_driver:
  call rax
  hlt
.endif

.ifdef early_interrupt
case_start:
  # The local APIC's timer, at vector 32.
  mov dword ptr [0xfee000f0], 0x1ff
  mov dword ptr [0xfee00320], 32
  mov dword ptr [0xfee00380], 10000
  enter_long
  sti
wait_for_it:
  jmp wait_for_it
.endif

.ifdef spins_with_interrupts_off
case_start:
  enter_long
  cli
forever:
  jmp forever
.endif

.ifdef spins_on_a_lock
case_start:
  enter_long
  cli
  mov dword ptr [the_lock], 1
take_the_lock:
  pause
  cmp dword ptr [the_lock], 0
  jne take_the_lock
.endif

.ifdef polls_a_port
case_start:
  mov dx, 0x1f7
wait_for_disk:
  in al, dx
  test al, 0x80
  jnz wait_for_disk
.endif

.ifdef polls_a_register
case_start:
wait_for_tpm:
  mov eax, [0xfed40000]
  test eax, eax
  jnz wait_for_tpm
.endif

.ifdef lost_timer
case_start:
  enter_long
  lidt [idtr]
  mov al, 0xff
  out 0x21, al
  out 0xa1, al
  sti
wait_for_timer:
  hlt
  jmp wait_for_timer
.endif

.data
.balign 8
gdt: .quad 0, 0x00209a0000000000, 0x0000920000000000
gdt_end:
gdtr:
  .word gdt_end - gdt - 1
  .quad gdt
short_gdtr:
  .word 7
  .quad gdt
idtr:
  .word 256 * 16 - 1
  .quad idt

.bss
.balign 4096
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 4096
pt: .skip 4096
idt: .skip 4096
stack: .skip 4096
stack_end: .skip 8
the_lock: .skip 8
