# Every MSR, bit by bit: which bits WRMSR takes and which of them RDMSR gives back, which indices are #GP, and
# the machine-check registers of a processor without banks. 64-bit mode.
# SDM volume 4; volume 3, "x2APIC Register Address Space", "Machine-Check Global Control MSRs".

.include "lib.inc"

.set CANONICAL, 0x00007fffffffffff  # bits that may be set alone
.set WIDE, 0x00000000ffffffff
.set ALL, 0xffffffffffffffff
.set PHYSICAL, 0x00003ffffffff000   # an address of 46 bits, by pages

use16
main:
  enter_long
  call plain
  call memory_types
  call local_apic
  call indices
  call machine_check
  call x2apic
  finish

# For each bit of `index` but those of `skip`: WRMSR of `base` with the bit inverted. `accepted` are the
# bits where that is no #GP, `kept` those that RDMSR reads back then.
.macro msr_bits name, index, base, skip, accepted, kept
  mov edi, \index
  movabs r8, \base
  movabs r9, \skip
  call sweep
  check64 "\name: bits that WRMSR takes", r10, \accepted
  check64 "\name: bits that RDMSR gives back", r11, \kept
.endm

sweep:
  xor r10d, r10d
  xor r11d, r11d
  xor esi, esi
.Lbit:
  bt r9, rsi
  jc .Lnext
  mov rax, r8
  btc rax, rsi
  mov rbx, rax
  mov rdx, rax
  shr rdx, 32
  mov ecx, edi
  arm 2f, 1f
1:
  wrmsr
2:
  cmp dword ptr [last_vector], NONE
  je 1f
  cmp dword ptr [last_vector], V_GP
  je .Lnext
  bts r10, 63                                   # never expected together with bit 62
  bts r10, 62
  jmp .Lnext
1:
  bts r10, rsi
  rdmsr
  shl rdx, 32
  or rax, rdx
  cmp rax, rbx
  jne 1f
  bts r11, rsi
1:
  mov rax, r8
  mov rdx, r8
  shr rdx, 32
  mov ecx, edi
  wrmsr
.Lnext:
  inc esi
  cmp esi, 64
  jb .Lbit
  mov dword ptr [resume], offset unexpected64
  ret

plain:
  msr_bits "TSC_ADJUST", 0x3b, 0, 0, ALL, ALL
  msr_bits "SYSENTER_CS", 0x174, 0, 0xffffffffffff0000, 0xffff, 0xffff
  msr_bits "SYSENTER_ESP", 0x175, 0, 0, CANONICAL, CANONICAL
  msr_bits "SYSENTER_EIP", 0x176, 0, 0, CANONICAL, CANONICAL
  msr_bits "SYSENTER_EIP, upper half", 0x176, 0xffff800000000000, 0, CANONICAL, CANONICAL
  msr_bits "DEBUGCTL", 0x1d9, 0, 0, 3, 3
  msr_bits "STAR", 0xc0000081, 0, 0, ALL, ALL
  msr_bits "LSTAR", 0xc0000082, 0, 0, CANONICAL, CANONICAL
  msr_bits "CSTAR", 0xc0000083, 0, 0, CANONICAL, CANONICAL
  msr_bits "FMASK", 0xc0000084, 0, 0, WIDE, WIDE
  msr_bits "FS_BASE", 0xc0000100, 0, 0, CANONICAL, CANONICAL
  msr_bits "GS_BASE", 0xc0000101, 0, 0, CANONICAL, CANONICAL
  msr_bits "KERNEL_GS_BASE", 0xc0000102, 0, 0, CANONICAL, CANONICAL
  msr_bits "TSC_AUX", 0xc0000103, 0, 0, WIDE, WIDE
  # LME cannot change with paging on; LMA is not written.
  msr_bits "EFER", EFER, EFER_SCE+EFER_LME+EFER_LMA+EFER_NXE, 0, EFER_SCE+EFER_LMA+EFER_NXE, EFER_SCE+EFER_NXE
  mov ecx, 0xda0
  arm 2f, 1f
1:
  rdmsr
2:
  mov dword ptr [resume], offset unexpected64
  cmp dword ptr [last_vector], NONE
  jne 1f
  msr_bits "XSS", 0xda0, 0, 0, 0, 0
1:
  ret

# SDM volume 3, "MTRR Feature Identification" and "Page Attribute Table (PAT)": types 0, 1, 4, 5, 6; and
# 7 in the PAT only.
memory_types:
  mov ecx, 0xfe
  rdmsr
  check "MTRRCAP: eight ranges, fixed ones, WC", eax, 0x508
  faults "MTRRCAP is read-only", V_GP, 0, wrmsr
  msr_bits "MTRR_PHYSBASE0", 0x200, 0, 0, PHYSICAL+5, PHYSICAL+5
  msr_bits "MTRR_PHYSMASK0", 0x201, 0, 0, PHYSICAL+0x800, PHYSICAL+0x800
  msr_bits "MTRR_PHYSBASE7", 0x20e, 6, 0, PHYSICAL+2, PHYSICAL+2
  msr_bits "MTRR_PHYSMASK7", 0x20f, 0x800, 0, PHYSICAL+0x800, PHYSICAL+0x800
  msr_bits "MTRR_FIX64K", 0x250, 0, 0, 0x0505050505050505, 0x0505050505050505
  msr_bits "MTRR_FIX16K, first", 0x258, 0x0606060606060606, 0, 0x0202020202020202, 0x0202020202020202
  msr_bits "MTRR_FIX16K, last", 0x259, 0, 0, 0x0505050505050505, 0x0505050505050505
  msr_bits "MTRR_FIX4K, first", 0x268, 0, 0, 0x0505050505050505, 0x0505050505050505
  msr_bits "MTRR_FIX4K, last", 0x26f, 0, 0, 0x0505050505050505, 0x0505050505050505
  msr_bits "MTRR_DEF_TYPE", 0x2ff, 0, 0, 0xc05, 0xc05
  msr_bits "PAT", 0x277, 0, 0, 0x0505050505050505, 0x0505050505050505
  msr_bits "PAT of UC-", 0x277, 0x0707070707070707, 0, 0x0303030303030303, 0x0303030303030303
  mov ecx, 0x277
  mov eax, 0x00070406
  mov edx, 0x00070406
  wrmsr
  ret

# SDM volume 3, "Local APIC Status and Location".
local_apic:
  msr_bits "APIC_BASE", 0x1b, 0xfee00900, 0xc00, PHYSICAL+0x100, PHYSICAL+0x100
  # The deadline is armed in that mode of the timer only.
  mov ebx, 0xfee00320
  mov dword ptr [rbx - 0x230], 0x1ff
  mov dword ptr [rbx], 0x50040
  msr_bits "TSC_DEADLINE", 0x6e0, 0x4000000000000000, 0, ALL, ALL
  mov ebx, 0xfee00320
  mov dword ptr [rbx], 0x10040
  mov ecx, 0x6e0
  mov eax, 0x12345678
  mov edx, 0x1234
  wrmsr
  rdmsr
  or eax, edx
  check "TSC_DEADLINE in another mode is not written", eax, 0
  ret

# Both RDMSR and WRMSR are to be #GP for each of `indices`; the first index that is not remains in EDX.
.macro no_msr name, indices:vararg
  xor ebp, ebp
  .irp index, \indices
  mov edi, \index
  call probe
  .endr
  check "\name: the last index that is there", ebp, 0
.endm

probe:
  mov ecx, edi
  arm 2f, 1f
1:
  rdmsr
2:
  cmp dword ptr [last_vector], V_GP
  cmovne ebp, edi
  mov ecx, edi
  xor eax, eax
  xor edx, edx
  arm 2f, 1f
1:
  wrmsr
2:
  cmp dword ptr [last_vector], V_GP
  cmovne ebp, edi
  mov dword ptr [resume], offset unexpected64
  ret

indices:
  no_msr "no MSR", 2, 5, 0x11, 0x16, 0x1a, 0x1c, 0x3a, 0x48, 0x49, 0xce, 0x173, 0x177, 0x17b, 0x17c, 0x19f
  no_msr "no MTRR", 0xff, 0x1ff, 0x210, 0x24f, 0x251, 0x257, 0x25a, 0x267, 0x270, 0x276, 0x278, 0x2fe, 0x300
  no_msr "no bank of machine checks", 0x280, 0x29f, 0x400, 0x401, 0x402, 0x403, 0x404
  no_msr "no VMX, PKS, CET", 0x480, 0x4d0, 0x6a0, 0x6a2, 0x6e1, 0x7ff, 0x900, 0xd90
  no_msr "nothing above", 0x40000000, 0xbfffffff, 0xc000007f, 0xc0000085, 0xc00000ff, 0xc0000104, -1
  movabs rcx, 0xffffffff00000010
  faults "RDMSR looks at ECX only", NONE, 0, rdmsr
  mov ecx, 0x8b
  faults "BIOS_SIGN_ID is writable", NONE, 0, wrmsr
  mov ecx, 0x10a
  xor eax, eax
  xor edx, edx
  faults "ARCH_CAPABILITIES is read-only", V_GP, 0, wrmsr
  mov ecx, 0x17
  faults "PLATFORM_ID is read-only", V_GP, 0, wrmsr
  # IA32_TIME_STAMP_COUNTER and IA32_TSC_ADJUST move together.
  write_msr 0x10, 0, 0x100
  mov ecx, 0x3b
  rdmsr
  inc edx
  and edx, ~1
  check "a write to the TSC moves TSC_ADJUST", edx, 0x100
  write_msr 0x3b, 0, 0
  rdtsc
  check "TSC_ADJUST of 0 takes it back", edx, 0
  ret

# CPUID has MCE and MCA, and IA32_MCG_CAP says that there are no banks, no IA32_MCG_CTL.
machine_check:
  mov eax, 1
  cpuid
  and edx, 1 << 7 | 1 << 14
  check "CPUID: MCE and MCA", edx, 1<<7|1<<14
  mov ecx, 0x179
  rdmsr
  or eax, edx
  check "MCG_CAP: no banks", eax, 0
  faults "MCG_CAP is read-only", V_GP, 0, wrmsr
  mov ecx, 0x17a
  rdmsr
  or eax, edx
  check "MCG_STATUS is 0", eax, 0
  xor eax, eax
  faults "MCG_STATUS is cleared", NONE, 0, wrmsr
  mov eax, 1
  faults "MCG_STATUS takes no bit", V_GP, 0, wrmsr
  mov ecx, 0
  rdmsr
  or eax, edx
  check "P5_MC_ADDR", eax, 0
  mov ecx, 1
  rdmsr
  or eax, edx
  check "P5_MC_TYPE", eax, 0
  mov rax, cr4
  mov rbx, rax
  or eax, 1 << 6
  mov cr4, rax
  mov rax, cr4
  mov cr4, rbx
  and eax, 1 << 6
  check "CR4.MCE", eax, 1<<6
  traps "INT 18", 18, 0, int 18
  mov eax, [last_flags]
  and eax, FL_RF
  check "INT 18 saves RF clear", eax, 0
  ret

# The registers 800H to 83FH that RDMSR (R10) and WRMSR of 0 (R11) take.
x2apic_registers:
  xor r10d, r10d
  xor r11d, r11d
  xor esi, esi
.Lregister:
  lea ecx, [rsi + 0x800]
  arm 2f, 1f
1:
  rdmsr
2:
  cmp dword ptr [last_vector], NONE
  jne 1f
  bts r10, rsi
1:
  lea ecx, [rsi + 0x800]
  xor eax, eax
  xor edx, edx
  arm 2f, 1f
1:
  wrmsr
2:
  cmp dword ptr [last_vector], NONE
  jne 1f
  bts r11, rsi
1:
  inc esi
  cmp esi, 64
  jb .Lregister
  mov dword ptr [resume], offset unexpected64
  ret

# SDM volume 3, table "Local APIC Register Address Map Supported by x2APIC".
x2apic:
  mov eax, 1
  cpuid
  bt ecx, 21
  jnc 1f
  call x2apic_registers
  check64 "xAPIC mode: no register is an MSR, to read", r10, 0
  check64 "xAPIC mode: no register is an MSR, to write", r11, 0
  write_msr 0x1b, 0xfee00d00
  call x2apic_registers
  check64 "x2APIC: readable registers", r10, 0x43fd01ffffffa50c
  check64 "x2APIC: writable registers", r11, 0xc1fd010000008900
  no_msr "no x2APIC register", 0x840, 0x87f, 0x8ff
  msr_bits "x2APIC TPR", 0x808, 0, 0, 0xff, 0xff
  msr_bits "x2APIC EOI", 0x80b, 0, ALL-0xff, 0, 0
  msr_bits "x2APIC SVR", 0x80f, 0x100, 0, 0x1ff, 0x1ff
  write_msr 0x80f, 0x1ff
  msr_bits "x2APIC ESR", 0x828, 0, 0, 0, 0
  # Delivery status (bit 12) and remote IRR (14) are read-only.
  msr_bits "x2APIC timer", 0x832, 0x10050, 0x1000, 0x700ff, 0x700ff
  msr_bits "x2APIC thermal", 0x833, 0x10050, 0x1000, 0x107ff, 0x107ff
  msr_bits "x2APIC LINT0", 0x835, 0x10050, 0x5000, 0x1a7ff, 0x1a7ff
  msr_bits "x2APIC LINT1", 0x836, 0x10050, 0x5000, 0x1a7ff, 0x1a7ff
  msr_bits "x2APIC error", 0x837, 0x10050, 0x1000, 0x100ff, 0x100ff
  msr_bits "x2APIC divider", 0x83e, 0, 0, 0xb, 0xb
  msr_bits "x2APIC self IPI", 0x83f, 0x50, 0, 0xff, 0
  # To a processor that is not there. Shorthands would reach this one.
  movabs rbx, 0x0000000500004050
  mov [SCRATCH], rbx
  msr_bits "x2APIC ICR", 0x830, 0x0000000500004050, 0xc0000, 0xffffffff0000cfff, 0xffffffff0000cfff
  write_msr 0x1b, 0xfee00100
  write_msr 0x1b, 0xfee00900
1:
  ret
