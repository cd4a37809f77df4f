# The limit of the code segment against instructions: those that run up to it, over it and beyond it, as part of a longer
# straight line and alone. SDM volume 3, "Limit Checking".

.include "lib.inc"

.set LIMITED, FREE              # 32-bit code at SCRATCH, limit 0xff
.set LIMITED16, FREE + 8        # the same, 16 bits
.set PAGES, FREE + 16           # limit of one page, by pages

use16
main:
  call real_mode
  enter_protected
  descriptor LIMITED, SCRATCH, 0xff, 0x9b, 4
  descriptor LIMITED16, SCRATCH, 0xff, 0x9b, 0
  descriptor PAGES, SCRATCH, 0, 0x9b, 0xc
  call protected
  call by_pages
  finish

# Fills SCRATCH with NOPs, and puts code of 32 bits at `place`.
.macro code_at place, bytes:vararg
  cld
  mov edi, SCRATCH
  mov ecx, 0x1100
  mov al, 0x90
  rep stosb
  .set at, SCRATCH + \place
  .irp byte, \bytes
  mov byte ptr [at], \byte
  .set at, at + 1
  .endr
.endm

# Runs from `start` of the segment: `vector`, reported at `ip`.
.macro runs name, selector, start, vector, ip
  arm .Lafter\@, \ip
  jump_far \selector, \start
.Lafter\@:
  fault_result "\name", \vector, 0
  mov ebx, [last_ip]
  check "\name: EIP", ebx, \ip
.endm

protected:
  .irp selector, LIMITED, LIMITED16
  code_at 0xf8, 0x90
  runs "off the end", \selector, 0xf0, V_GP, 0x100
  runs "at the end", \selector, 0xff, V_GP, 0x100
  code_at 0xfd, 0x66, 0x0f, 0x0b
  runs "the last instruction", \selector, 0xf0, V_UD, 0xfd
  code_at 0xfe, 0xb0, 0x12
  runs "an instruction that fits", \selector, 0xf0, V_GP, 0x100
  code_at 0xff, 0xb0, 0x12
  runs "an instruction over the limit", \selector, 0xf0, V_GP, 0xff
  runs "that instruction alone", \selector, 0xff, V_GP, 0xff
  code_at 0xfe, 0xeb, 0xf0
  mov byte ptr [SCRATCH + 0xf0], 0xcc
  runs "a jump at the end", \selector, 0xfe, V_BP, 0xf1
  code_at 0xfe, 0xeb, 0x10
  runs "a jump beyond the limit", \selector, 0xfe, V_GP, 0xfe
  code_at 0xfc, 0x0f, 0x0b, 0x90
  runs "a fault before the limit", \selector, 0xf0, V_UD, 0xfc
  .endr
  # Under TF each instruction is alone.
  code_at 0xff, 0xb0, 0x12
  mov dword ptr [hook], offset stepped
  mov dword ptr [resume_sp], esp
  mov dword ptr [resume], offset 1f
  pushfd
  or dword ptr [esp], FL_TF
  popfd
  jump_far LIMITED, 0xfc
1:
  mov dword ptr [hook], 0
  mov dword ptr [resume], offset unexpected32
  check_memory "stepped: the steps before", steps, 4
  check_memory "stepped: EIP", stepped_ip, 0xff
  # The same code without the limit, in between: blocks are not the segment's.
  runs "a limit once more", LIMITED, 0xf0, V_GP, 0xff
  ret

# Counts steps; #GP ends them.
stepped:
  cmp dword ptr [esp], V_DB
  jne 1f
  inc dword ptr [steps]
  add esp, 8
  iretd
1:
  mov eax, [esp + 8]
  mov [stepped_ip], eax
  mov esp, [resume_sp]
  jmp [resume]

by_pages:
  code_at 0xffe, 0xb0, 0x12
  runs "off the page", PAGES, 0xff0, V_GP, 0x1000
  code_at 0xffd, 0xb8, 0, 0, 0, 0
  runs "over two pages", PAGES, 0xff0, V_GP, 0xffd
  ret

# 64 KiB is the limit of real mode too. The code is at 1000:FFF0, which is 1FFF0.
use16
real_mode:
  mov ax, 0x1fff
  mov es, ax
  mov dword ptr es:[0], 0x90909090
  mov dword ptr es:[4], 0x90909090
  mov dword ptr es:[8], 0x90909090
  mov dword ptr es:[12], 0xb0909090             # MOV AL, imm8 at FFFF
  mov word ptr es:[16], 0x12
  mov word ptr [4 * V_GP], offset 1f
  mov word ptr [4 * V_GP + 2], 0
  mov dword ptr [saved_sp], esp
  jump_far 0x1000, 0xfff0
1:
  pop bx
  mov esp, [saved_sp]
  xor ax, ax
  mov ds, ax
  mov es, ax
  movzx ebx, bx
  check "real mode: an instruction over 64 KiB", ebx, 0xffff
  ret

.data
steps: .quad 0
stepped_ip: .quad 0
saved_sp: .quad 0
