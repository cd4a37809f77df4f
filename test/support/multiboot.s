# A kernel that prints what a multiboot loader of version 1 or 2 told it, on COM1, and ends the run
# through isa-debug-exit with the number of modules. Assembled as MULTIBOOT=1 or 2, and with KLUDGE=1
# with addresses in its header, so that it needs no ELF.
.intel_syntax noprefix
.code32

.set LOAD, 0x200000
.set COM1, 0x3f8
.set DEBUG_EXIT, 0xf4

.text
.balign 8
header:
.if MULTIBOOT == 1
  .set FLAGS, 3 + (KLUDGE << 16)
  .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
  .if KLUDGE
    .long LOAD, LOAD, 0, end_of_bss, _start
  .endif
.else
  .long 0xe85250d6, 0, header_end - header, -(0xe85250d6 + (header_end - header))
  .word 1, 0
  .long 16, 1, 6 # wants the command line and the memory map
  .if KLUDGE
    .word 2, 0
    .long 24, LOAD, LOAD, 0, end_of_bss
    .word 3, 0
    .long 12, _start, 0
  .endif
  .word 0, 0
  .long 8
header_end:
.endif

.globl _start
_start:
  mov esp, offset stack_end
  mov edi, eax
  mov eax, cr0
  and eax, 0x80000001
  mov [state], eax
  mov esi, offset magic_text
  call print
  mov eax, edi
  call print_hex
  mov esi, offset state_text
  call print
  mov eax, [state]
  call print_hex
  mov eax, [zeroed]
  call print_hex
  cmp edi, 0x2badb002
  je version1
  cmp edi, 0x36d76289
  je version2
  mov al, 0xff
  jmp finish

version1:
  mov edi, [ebx + 44]
  mov ebp, [ebx + 20]
  mov esi, [ebx + 16]
  call print_command_line
  mov ecx, ebp
  mov edx, [ebx + 24]
1:
  jecxz finish_count
  call print_module
  add edx, 16
  dec ecx
  jmp 1b

version2:
  xor ebp, ebp
  lea edx, [ebx + 8]
next_tag:
  mov eax, [edx]
  test eax, eax
  jz finish_count
  cmp eax, 1
  jne 1f
  lea esi, [edx + 8]
  call print_command_line
1:
  cmp dword ptr [edx], 3
  jne 2f
  inc ebp
  push edx
  add edx, 8
  call print_module
  pop edx
2:
  add edx, [edx + 4]
  add edx, 7
  and edx, -8
  jmp next_tag

finish_count:
  mov eax, ebp
finish:
  mov dx, DEBUG_EXIT
  out dx, al
  hlt

# ESI: text
print_command_line:
  push esi
  mov esi, offset command_line_text
  call print
  pop esi
  jmp print

# EDX: start and end of a module
print_module:
  mov esi, offset module_text
  call print
  mov esi, [edx]
3:
  cmp esi, [edx + 4]
  jae 4f
  lodsb
  call print_byte
  jmp 3b
4:
  ret

print:
  lodsb
  test al, al
  jz 5f
  call print_byte
  jmp print
5:
  ret

print_hex:
  push ecx
  mov ecx, 8
6:
  rol eax, 4
  push eax
  and al, 15
  add al, '0'
  cmp al, '9'
  jbe 7f
  add al, 'a' - '9' - 1
7:
  call print_byte
  pop eax
  loop 6b
  pop ecx
  ret

print_byte:
  push edx
  mov dx, COM1
  out dx, al
  pop edx
  ret

magic_text: .asciz "magic "
state_text: .asciz "\nstate "
command_line_text: .asciz "\ncommand line "
module_text: .asciz "\nmodule "

.bss
state: .skip 4
zeroed: .skip 4
stack: .skip 4096
stack_end:
end_of_bss:
