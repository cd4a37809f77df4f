# What a kernel does at its entries, around accesses to user memory and when it changes tasks, in loops: CLAC and STAC
# between accesses to the same place, CLD and STD, segment, control and base registers. 64-bit mode. SDM volume 3,
# "Access Rights", "Supervisor Mode Access Prevention"; volume 2, "RDFSBASE/RDGSBASE", "CLAC", "STAC".

.include "lib.inc"
.include "pages.inc"

.set PT, 0x110000
.set USER_PAGE, 0x40000000      # a user page; what is behind it belongs to the supervisor
.set FRAME, 0x300000
.set ROUNDS, 20
.set FAR_BASE, 0x1234567800

use16
main:
  enter_long
  mov dword ptr [PML4 + 0x3000], PT + P + W + U
  mov dword ptr [PT], FRAME + P + W + U
  mov dword ptr [PT + 8], FRAME + 0x1000 + P + W
  supervisor_pages
  call carries
  call directions
  call registers
  call bases
  set_bits cr4, CR4_SMAP
  call user_accesses
  call user_stack
  clear_bits cr4, CR4_SMAP
  call without_smap
  call not_for_users
  finish

# CF alone, with the other flags of the comparison in front.
carries:
  mov ecx, ROUNDS
  xor ebx, ebx
1:
  cmp ecx, 1
  clc
  setc al
  setz ah
  stc
  adc bl, al
  cmc
  adc bl, ah
  cmp ecx, ecx
  cmc
  sete dl
  adc bl, dl
  dec ecx
  jnz 1b
  check "carries", ebx, 4*ROUNDS+1
  ret

directions:
  mov r14d, ROUNDS
1:
  mov edi, SCRATCH + 64
  mov ecx, 3
  mov eax, r14d
  std
  rep stosd
  cld
  stosd
  dec r14d
  jnz 1b
  mov ebx, edi
  check "down and up", ebx, SCRATCH+56
  check_memory "the last one", SCRATCH+52, 1
  ret

registers:
  mov r14d, ROUNDS
  mov rbx, -1
  mov r11, -1
  mov rdx, -1
1:
  mov bx, ds
  mov r11d, ss
  mov rdx, cs
  mov rax, 0x123456789
  mov cr2, rax
  mov rsi, cr2
  mov r9, cr3
  mov r10, cr0
  mov r12, cr4
  dec r14d
  jnz 1b
  check "16 bits of a selector", ebx, 0xffff0000+USER_DATA
  mov eax, r11d
  check "32 bits", eax, DATA
  check64 "64 bits", rdx, CODE64
  check64 "CR2", rsi, 0x123456789
  mov eax, r9d
  check "CR3", eax, PML4
  and r10d, CR0_PG + CR0_PE
  mov eax, r10d
  check "CR0", eax, CR0_PG+CR0_PE
  mov rax, cr4
  cmp rax, r12
  sete al
  movzx eax, al
  check "CR4", eax, 1
  ret

bases:
  mov r14d, 2 * ROUNDS
  faults "not without CR4.FSGSBASE", V_UD, 0, rdfsbase rax
  set_bits cr4, CR4_FSGSBASE
  movabs rbx, FAR_BASE
  mov rbp, 1 << 47
1:
  wrfsbase rbx
  wrgsbase ebx
  rdfsbase rcx
  rdgsbase r9
  rdfsbase r10d
  inc rbx
  faults "a base that is not canonical", V_GP, 0, wrgsbase rbp
  cmp r14d, ROUNDS
  jne 2f
  clear_bits cr4, CR4_FSGSBASE
  faults "nor any more", V_UD, 0, wrfsbase rcx
  set_bits cr4, CR4_FSGSBASE
2:
  dec r14d
  jnz 1b
  check64 "FS", rcx, 0x1234567827
  mov rax, r9
  check64 "GS, 32 bits", rax, 0x34567827
  mov rax, r10
  check64 "FS, 32 bits", rax, 0x34567827
  mov ecx, SCRATCH
  mov qword ptr [rcx + 8], 77
  wrgsbase rcx
  mov eax, gs:[8]
  check "used", eax, 77
  xor ecx, ecx
  wrgsbase rcx
  wrfsbase rcx
  ret

# Accesses to one page, some of which are allowed.
user_accesses:
  mov r14d, ROUNDS
  mov ebx, USER_PAGE + 0x80
  xor esi, esi
1:
  stac
  mov dword ptr [rbx], 5
  inc dword ptr [rbx + 4]
  add esi, [rbx]
  pushfq
  pop rdi
  clac
  mov [rbx + 0xf80], esi
  faults "after CLAC", V_PF, E_P, mov eax, [rbx + 8]
  stac
  stac
  mov eax, [rbx + 8]
  clac
  faults "after CLAC again", V_PF, E_P+E_W, mov [rbx + 8], eax
  clac
  mov r10, rbx
  faults "nor through another register", V_PF, E_P, mov eax, [r10]
  dec r14d
  jnz 1b
  check_memory "counted", FRAME+0x84, ROUNDS
  check "read", esi, 5*ROUNDS
  and edi, FL_AC
  check "AC", edi, FL_AC
  ret

# The stack is on a user page for a while, and on its own one again.
user_stack:
  use_ist1 V_PF
  mov r14d, ROUNDS
  xor esi, esi
1:
  mov r12, rsp
  push 3
  stac
  mov esp, USER_PAGE + 0x200
  push 4
  push r14
  pop rax
  add esi, eax
  pop rax
  add esi, eax
  mov rsp, r12
  clac
  mov eax, [rsp - 8]
  add esi, eax
  arm 2f, .Lpush
  mov esp, USER_PAGE + 0x200
.Lpush:
  push 5
2:
  fault_result "a push without AC", V_PF, E_P+E_W
  dec r14d
  jnz 1b
  check "popped", esi, 7*ROUNDS+ROUNDS*(ROUNDS+1)/2
  ret

without_smap:
  mov r14d, ROUNDS
  mov ebx, USER_PAGE + 0x80
  xor esi, esi
1:
  clac
  add esi, [rbx]
  stac
  add esi, [rbx]
  dec r14d
  jnz 1b
  clac
  check "nothing is forbidden", esi, 10*ROUNDS
  ret

# All of memory is the user's again. What is translated for level 0 is looked up anew.
not_for_users:
  mov eax, PML4 + 0x2000
  mov ecx, 512
1:
  or dword ptr [rax], U
  add eax, 8
  dec ecx
  jnz 1b
  mov rax, cr3
  mov cr3, rax
  mov r14d, ROUNDS
1:
  user_faults "STAC", V_UD, 0, stac
  user_faults "CLAC", V_UD, 0, clac
  user_faults "MOV from CR2", V_GP, 0, mov rax, cr2
  user_traps "RDGSBASE", SYSTEM_CALL, 0, rdgsbase rax
  dec r14d
  jnz 1b
  ret
