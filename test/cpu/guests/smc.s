# Self-modifying code: a change counts with the next instruction, wherever it comes from. 64-bit mode.
# SDM volume 3, "Handling Self- and Cross-Modifying Code".

.include "lib.inc"

.set CODE, 0x400000             # pages for made-up code
.set ALIAS, 0x40000000          # linear address of a second mapping of CODE
.set PT, 0x110000

.macro b value
  mov byte ptr [rdi], \value
  inc edi
.endm

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + 7
  mov dword ptr [PT], CODE + 7
  mov rax, cr3
  mov cr3, rax
  call next_instruction
  call loops
  call other_page
  call aliases
  call page_crossing
  call string_stores
  call remapped
  call data_beside_code
  call by_instructions
  finish

# The immediate of the very next instruction.
next_instruction:
  mov ecx, 3
  xor ebx, ebx
1:
  mov byte ptr [2f + 2], cl
2:
  add ebx, 0x40
  dec ecx
  jnz 1b
  check "next instruction", ebx, 6
  # The rest of the straight line, some instructions ahead.
  mov eax, 5
  mov byte ptr [3f], 0x90
  mov byte ptr [3f + 1], 0x90
  nop
  nop
3:
  xor eax, eax
  check "instruction ahead on the same line", eax, 5
  # An opcode becomes another one of another length.
  mov dword ptr [4f], 0x9090c0ff                # INC EAX; NOP; NOP
  jmp 4f
4:
  .byte 0xb8, 0, 0, 0, 0x90                     # MOV EAX, imm32 before
  check "instruction of another length", eax, 6
  # Across an instruction that reads the code as data.
  mov al, byte ptr [5f]
  mov byte ptr [5f + 1], 9
5:
  mov bl, 0
  movzx ebx, bl
  check "read and written", ebx, 9
  ret

# A loop that changes its own body in each pass; blocks are long in use by then.
loops:
  mov ecx, 1000
  xor ebx, ebx
  xor eax, eax
1:
  mov dword ptr [2f + 1], ecx
2:
  mov edx, 0
  add ebx, edx
  dec ecx
  jnz 1b
  check "1000 passes of a changing body", ebx, 500500
  # The store is behind the changed instruction.
  mov ecx, 100
  xor ebx, ebx
1:
  add ebx, 1
2:
  mov byte ptr [1b + 2], cl
  dec ecx
  jnz 1b
  check "store behind the changed instruction", ebx, 5050
  ret

# MOV EAX, imm32; RET at CODE.
make_function:
  mov edi, CODE
  b 0xb8
  mov [rdi], eax
  add edi, 4
  b 0xc3
  ret

other_page:
  mov eax, 0x1111
  call make_function
  mov esi, CODE
  call rsi
  check "code in another page", eax, 0x1111
  mov dword ptr [CODE + 1], 0x2222
  call rsi
  check "changed from another page", eax, 0x2222
  mov byte ptr [CODE + 1], 0x33
  call rsi
  check "one byte of it", eax, 0x2233
  ret

aliases:
  mov esi, CODE
  mov ebx, ALIAS
  mov eax, 0x1111
  call make_function
  call rsi
  call rbx
  check "the alias runs", eax, 0x1111
  mov dword ptr [rbx + 1], 0x4444
  call rsi
  check "written by the alias, run by the name", eax, 0x4444
  call rbx
  check "written by the alias, run by the alias", eax, 0x4444
  mov dword ptr [rsi + 1], 0x5555
  call rbx
  check "written by the name, run by the alias", eax, 0x5555
  ret

# MOV EAX, imm32 whose immediate is cut by the page's end: the tail changes, by name and by alias.
page_crossing:
  mov qword ptr [PT + 8], CODE + 0x1007
  mov eax, ALIAS + 0x1000
  invlpg [rax]
  mov esi, CODE + 0xffd
  mov edi, esi
  b 0xb8
  b 0x11
  b 0x22
  b 0x33
  b 0x44
  b 0xc3
  call rsi
  check "instruction over two pages", eax, 0x44332211
  mov byte ptr [CODE + 0x1001], 0x55
  call rsi
  check "its tail changed", eax, 0x55332211
  mov byte ptr [CODE + 0xffe], 0x66
  call rsi
  check "its head changed", eax, 0x55332266
  mov ebx, ALIAS + 0xffd
  call rbx
  check "by its alias", eax, 0x55332266
  mov dword ptr [rbx + 1], 0x01020304
  call rsi
  check "a store over both pages", eax, 0x01020304
  # The second page becomes another one.
  mov byte ptr [CODE + 0x2000], 0x77
  mov byte ptr [CODE + 0x2001], 0x88
  mov byte ptr [CODE + 0x2002], 0xc3
  call rbx
  mov qword ptr [PT + 8], CODE + 0x2007
  mov eax, ALIAS + 0x1000
  invlpg [rax]
  call rbx
  check "the second page is mapped anew", eax, 0x88770304
  call rsi
  check "the other name keeps its own", eax, 0x01020304
  mov qword ptr [PT + 8], 0
  mov eax, ALIAS + 0x1000
  invlpg [rax]
  arm 1f, ALIAS+0xffd
  call rbx
1:
  fault_result "the second page is gone", V_PF, 0x10
  check_memory "CR2 is the second page", last_cr2, ALIAS+0x1000
  ret

string_stores:
  mov eax, 0x1111
  call make_function
  mov esi, CODE
  call rsi
  mov dword ptr [SCRATCH], 0x99aabbcc
  mov esi, SCRATCH
  mov edi, CODE + 1
  mov ecx, 4
  cld
  rep movsb
  mov esi, CODE
  call rsi
  check "REP MOVSB over code", eax, 0x99aabbcc
  mov edi, CODE + 1
  mov ecx, 1
  mov eax, 0x12341234
  rep stosd
  call rsi
  check "REP STOSD over code", eax, 0x12341234
  # REP MOVSQ over itself: what comes after it is new when it is done.
  mov esi, offset 2f
  mov edi, offset 1f
  mov ecx, 2
  mov ebx, 1
  rep movsq
1:
  mov ebx, 2
  .fill 11, 1, 0x90
  check "REP MOVSQ over what follows it", ebx, 3
  ret
2:
  mov ebx, 3
  .fill 11, 1, 0x90

# The same linear address, another frame with other code.
remapped:
  mov dword ptr [CODE + 0x3000], 0x001111b8     # MOV EAX, 0x1111; RET
  mov word ptr [CODE + 0x3004], 0xc300
  mov dword ptr [CODE + 0x4000], 0x002222b8
  mov word ptr [CODE + 0x4004], 0xc300
  mov ebx, ALIAS
  mov ecx, 50
  xor edx, edx
1:
  mov dword ptr [PT], CODE + 0x3007
  invlpg [rbx]
  call rbx
  add edx, eax
  mov dword ptr [PT], CODE + 0x4007
  mov rax, cr3
  mov cr3, rax
  call rbx
  add edx, eax
  dec ecx
  jnz 1b
  check "frames exchanged under running code", edx, 50*0x3333
  mov dword ptr [PT], CODE + 7
  invlpg [rbx]
  ret

# Data in a page of code: the stores are slow at worst, never lost, and the code lives on.
data_beside_code:
  mov ecx, 20000
  xor ebx, ebx
1:
  add dword ptr [beside], 3
  inc ebx
  dec ecx
  jnz 1b
  check_memory "20000 stores beside the loop", beside, 60000
  check "20000 passes", ebx, 20000
  ret
beside: .long 0

# Stores by other instructions than MOV.
by_instructions:
  mov eax, 0
  call make_function
  mov esi, CODE
  .macro changed name, want, code:vararg
  call rsi
  \code
  call rsi
  check "\name", eax, \want
  .endm
  changed "INC", 1, inc dword ptr [CODE+1]
  mov ecx, 0x100
  changed "LOCK XADD", 0x101, lock xadd [CODE+1], ecx
  mov ecx, 0x777
  changed "XCHG", 0x777, xchg [CODE+1], ecx
  mov eax, 0x777
  mov ecx, 0x888
  changed "CMPXCHG", 0x888, lock cmpxchg [CODE+1], ecx
  changed "BTS", 0x889, bts dword ptr [CODE+1], 0
  changed "SETC", 0x800, setc byte ptr [CODE+1]
  mov rbx, rsp
  .macro pushed
  mov esp, CODE + 9
  push qword ptr [push_image]
  mov rsp, rbx
  .endm
  changed "PUSH", 0xabcdef01, pushed
  fninit
  mov dword ptr [SCRATCH], 0x600d
  fild dword ptr [SCRATCH]
  changed "FISTP", 0x600d, fistp dword ptr [CODE+1]
  mov rax, cr4
  or eax, CR4_OSFXSR
  mov cr4, rax
  mov eax, 0x5e5e
  movd xmm0, eax
  changed "MOVD", 0x5e5e, movd [CODE+1], xmm0
  mov ebx, CODE + 1
  changed "MOVNTI", CODE+1, movnti [rbx], ebx
  ret

.data
push_image: .quad 0x909090c3abcdef01
