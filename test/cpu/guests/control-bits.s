# Control and debug registers bit by bit: which bits may be set, which are kept, which combinations XCR0 takes. 64-bit mode.
# SDM volume 3, "Control Registers", "Extended Control Registers (Including XCR0)", "Debug Registers".

.include "lib.inc"

use16
main:
  enter_long
  supervisor_pages
  call registers
  call xcr0
  finish

# For each bit of `register` but those of `skip`: the register with the bit inverted is written, read and restored.
# `accepted` are the bits where that is no #GP, `kept` those that are read back then.
.macro bits name, register, skip, accepted, kept
  movabs r9, \skip
  mov r8, \register
  xor r10d, r10d
  xor r11d, r11d
  xor esi, esi
.Lbit\@:
  bt r9, rsi
  jc .Lnext\@
  mov rbx, r8
  btc rbx, rsi
  arm 2f, 1f
1:
  mov \register, rbx
2:
  cmp dword ptr [last_vector], NONE
  jne .Lnext\@
  bts r10, rsi
  mov rax, \register
  mov \register, r8
  cmp rax, rbx
  jne .Lnext\@
  bts r11, rsi
.Lnext\@:
  inc esi
  cmp esi, 64
  jb .Lbit\@
  mov dword ptr [resume], offset unexpected64
  check64 "\name: bits that may change", r10, \accepted
  check64 "\name: bits that are kept", r11, \kept
.endm

registers:
  # CR0: PE and PG may not; NW is not without CD (both set after reset: CD may not be cleared alone). The reserved bits of
  # the lower half are ignored, as ET is.
  bits "CR0", cr0, 0, 0x3ffffffe, 0x2005002e
  # CR4: what follows CPUID is in control.s. PAE may not; no LA57, VMX, SMX, KL, PKE, CET, PKS, UINTR, LAM.
  bits "CR4", cr4, 0x370801, 0x7de, 0x7de
  # CR3: 46 bits of address, and those below it that mean nothing; no PCID, no LAM.
  bits "CR3", cr3, 0x3ffffffff000, 0xfff, 0xfff
  bits "CR8", cr8, 0, 0xf, 0xf
  bits "CR2", cr2, 0, 0xffffffffffffffff, 0xffffffffffffffff
  bits "DR0", dr0, 0, 0xffffffffffffffff, 0xffffffffffffffff
  bits "DR6", dr6, 0, 0xffffffff, 0xe00f
  # GD would meet the read that follows.
  bits "DR7", dr7, 0x2000, 0xffffdfff, 0xffff03ff
  ret

# Every value of the low byte, and each higher bit with x87: accepted are x87, with SSE, with AVX and then the three
# components of AVX-512 where CPUID has them.
xcr0:
  mov eax, 1
  cpuid
  bt ecx, 26
  jnc 9f
  state_components r12d
  set_bits cr4, CR4_OSXSAVE
  xor esi, esi
  xor r13d, r13d
  xor edi, edi
1:
  xor ecx, ecx
  mov eax, esi
  xor edx, edx
  arm 3f, 2f
2:
  xsetbv
3:
  cmp dword ptr [last_vector], NONE
  jne 4f
  inc r13d
  add edi, esi
4:
  inc esi
  cmp esi, 256
  jb 1b
  mov dword ptr [resume], offset unexpected64
  mov eax, 2
  mov ebx, 1 + 3
  cmp r12d, 3
  je 1f
  mov eax, 3
  mov ebx, 1 + 3 + 7
  cmp r12d, 7
  je 1f
  mov eax, 4
  mov ebx, 1 + 3 + 7 + 0xe7
1:
  check "XCR0: how many values of the low byte", r13d, eax
  check "XCR0: their sum", edi, ebx
  mov esi, 8
  xor r13d, r13d
1:
  xor ecx, ecx
  mov eax, 1
  xor edx, edx
  cmp esi, 32
  jae 2f
  bts eax, esi
  jmp 5f
2:
  mov edi, esi
  sub edi, 32
  bts edx, edi
5:
  arm 3f, 2f
2:
  xsetbv
3:
  cmp dword ptr [last_vector], V_GP
  je 4f
  inc r13d
4:
  inc esi
  cmp esi, 64
  jb 1b
  mov dword ptr [resume], offset unexpected64
  check "XCR0: no other bit", r13d, 0
  xor ecx, ecx
  xgetbv
  check "XCR0 keeps its value through #GP", eax, r12d
  mov ecx, 3
  faults "XGETBV of 3 is #GP(0)", V_GP, 0, xgetbv
  faults "XSETBV of 3 is #GP(0)", V_GP, 0, xsetbv
9:
  ret
