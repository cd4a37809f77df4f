# INT 11h, 12h, 14h, 15h and 17h.

equipment_service:
        push    ds
        push    0
        pop     ds
        mov     ax, [BDA_EQUIPMENT]
        pop     ds
        iret

base_memory_service:
        push    ds
        push    0
        pop     ds
        mov     ax, [BDA_BASE_KIB]
        pop     ds
        iret

# COM1 is the screen and the keyboard already: as a serial port it times out, like one without a peer.
serial_service:
        mov     ah, 0x80
        iret

# There is no printer.
printer_service:
        mov     ah, 0x01
        iret

.equ UNSUPPORTED, 0x86

system_service:
        enter_service
        cmp     ax, 0xe820
        je      memory_map_service
        cmp     ax, 0xe801
        je      memory_size_service
        cmp     ah, 0x24
        je      a20_service
        cmp     ah, 0x86
        je      wait_service
        cmp     ah, 0x87
        je      move_service
        cmp     ah, 0x88
        je      extended_memory_service
        cmp     ah, 0xc0
        je      config_service
        cmp     ah, 0xc1
        je      ebda_service
# Among them APM (53h), SpeedStep (E980h) and the hint that 64-bit mode will come (EC00h).
system_unsupported:
        mov     ah, UNSUPPORTED
system_failure:
        mov     [bp + F_AH], ah
        or      byte ptr [bp + F_FLAGS], FLAG_CARRY
        leave_service
system_success:
        and     byte ptr [bp + F_FLAGS], 0xff & ~FLAG_CARRY
        leave_service

# --- memory ----------------------------------------------------------------------------------------------

.equ SMAP, 0x534d4150

# ACPI 6.4, "INT 15H, E820H - Query System Address Map". EBX counts the entries.
memory_map_service:
        cmp     edx, SMAP
        jne     system_unsupported
        cmp     ecx, MEMORY_ENTRY_SIZE
        jb      system_unsupported
        mov     ebx, [bp + F_EBX]
        movzx   eax, word ptr cs:[memory_entries]
        cmp     ebx, eax
        jae     system_unsupported
        imul    si, bx, MEMORY_ENTRY_SIZE
        add     si, offset memory_map
        mov     es, [bp + F_ES]
        mov     cx, MEMORY_ENTRY_SIZE / 2
        rep     movs word ptr es:[di], word ptr cs:[si]
        inc     ebx
        cmp     ebx, eax
        jb      1f
        xor     ebx, ebx
1:      mov     [bp + F_EBX], ebx
        mov     dword ptr [bp + F_ECX], MEMORY_ENTRY_SIZE
        mov     dword ptr [bp + F_EAX], SMAP
        jmp     system_success

# CMOS RAM: KiB from 1 MiB, and 64 KiB blocks from 16 MiB.
.equ CMOS_EXTENDED, 0x30
.equ CMOS_ABOVE_16M, 0x34

# E801h: AX = CX, KiB from 1 to 16 MiB; BX = DX, 64 KiB blocks above.
memory_size_service:
        mov     al, CMOS_EXTENDED
        call    read_cmos_word
        cmp     ax, 0x3c00
        jbe     1f
        mov     ax, 0x3c00
1:      mov     [bp + F_EAX], ax
        mov     [bp + F_ECX], ax
        mov     al, CMOS_ABOVE_16M
        call    read_cmos_word
        mov     [bp + F_EBX], ax
        mov     [bp + F_EDX], ax
        jmp     system_success

# 88h: KiB from 1 MiB; at most 63 MiB, since some programs take the number for a signed one.
extended_memory_service:
        mov     al, CMOS_EXTENDED
        call    read_cmos_word
        cmp     ax, 0xfc00
        jbe     1f
        mov     ax, 0xfc00
1:      mov     [bp + F_EAX], ax
        jmp     system_success

# 24h: address line 20 is always on. Turning it off (00h) is refused.
a20_service:
        cmp     al, 1
        jb      system_unsupported
        je      1f
        cmp     al, 3
        ja      system_unsupported
        je      2f
        mov     byte ptr [bp + F_AL], 1
        jmp     1f
2:      mov     word ptr [bp + F_EBX], 0x0003  # by the 8042 and by port 92h
1:      mov     byte ptr [bp + F_AH], 0
        jmp     system_success

# 87h: moves CX words between the bases of the third and fourth descriptor at ES:SI.
move_service:
        smsw    ax
        test    al, 1
        mov     ah, 0x03                # only in real mode
        jnz     system_failure
        cmp     cx, 0x8000
        mov     ah, 0x02
        ja      system_failure
        mov     es, [bp + F_ES]
        mov     eax, es:[si + 0x1a]     # bits 0 to 23
        and     eax, 0xffffff
        mov     edi, es:[si + 0x1c]
        and     edi, 0xff000000         # bits 24 to 31, in the last byte
        or      edi, eax
        mov     eax, es:[si + 0x12]
        and     eax, 0xffffff
        mov     esi, es:[si + 0x14]
        and     esi, 0xff000000
        or      esi, eax
        movzx   ecx, cx
        call    flat_segments
        rep     movs word ptr es:[edi], word ptr ds:[esi]
        call    real_segments
        mov     byte ptr [bp + F_AH], 0
        jmp     system_success

# --- the rest --------------------------------------------------------------------------------------------

# 86h: waits for CX:DX microseconds. Milliseconds are slept through, by the real-time clock's periodic
# interrupt of 976.6 us; short waits, and those of a program that has that interrupt for itself, are measured
# by the refresh toggle of port 61h (15.085 us).
.equ RTC_PERIOD_US, 976
.equ REFRESH_US, 15

wait_service:
        mov     ax, cx
        shl     eax, 16
        mov     ax, dx
        xor     edx, edx
        cmp     eax, 2 * RTC_PERIOD_US
        jb      1f
        cmp     word ptr [0x70 * 4], offset rtc_irq
        jne     1f
        cmp     word ptr [0x70 * 4 + 2], SEGMENT
        jne     1f
        mov     ecx, RTC_PERIOD_US
        div     ecx
        call    sleep_periods
        jmp     2f
1:      mov     ecx, REFRESH_US
        div     ecx
        call    count_refreshes
2:      mov     byte ptr [bp + F_AH], 0
        jmp     system_success

# Waits for EAX refresh requests. Changes AX and ECX.
count_refreshes:
        sti
        xchg    ecx, eax
        jecxz   2f
        in      al, PORT_B
        mov     ah, al
1:      in      al, PORT_B
        xor     al, ah
        test    al, 0x10
        jz      1b
        xor     ah, 0x10
        dec     ecx
        jnz     1b
2:      ret

# C0h
config_service:
        mov     word ptr [bp + F_ES], SEGMENT
        mov     word ptr [bp + F_EBX], offset config_table
        mov     byte ptr [bp + F_AH], 0
        jmp     system_success

# C1h
ebda_service:
        mov     word ptr [bp + F_ES], EBDA_SEGMENT
        jmp     system_success
