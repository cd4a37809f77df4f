# INT 08h (the timer's interrupt) and INT 1Ah: ticks since midnight, and the real-time clock.

.equ TICKS_A_DAY, 0x1800b0

timer_tick:
        push    ds
        push    eax
        push    0
        pop     ds
        mov     eax, [BDA_TICKS]
        inc     eax
        cmp     eax, TICKS_A_DAY
        jb      1f
        xor     eax, eax
        inc     byte ptr [BDA_MIDNIGHT]
1:      mov     [BDA_TICKS], eax
        int     0x1c
        mov     al, PIC_EOI
        out     PIC_MASTER, al
        pop     eax
        pop     ds
        iret

time_service:
        enter_service
        dispatch_ah time_table, 0x06
time_unsupported:                       # alarm and PCI BIOS among them
        or      byte ptr [bp + F_FLAGS], FLAG_CARRY
        leave_service
time_success:
        and     byte ptr [bp + F_FLAGS], 0xff & ~FLAG_CARRY
        leave_service

time_table:
        .word   ticks_get, ticks_set, clock_get_time, clock_set_time, clock_get_date, clock_set_date

# 00h: AL says that midnight has passed since the last call.
ticks_get:
        mov     ax, [BDA_TICKS]
        mov     [bp + F_EDX], ax
        mov     ax, [BDA_TICKS + 2]
        mov     [bp + F_ECX], ax
        xor     ax, ax
        xchg    al, [BDA_MIDNIGHT]
        mov     [bp + F_EAX], ax
        jmp     time_success

# 01h
ticks_set:
        mov     [BDA_TICKS], dx
        mov     [BDA_TICKS + 2], cx
        mov     byte ptr [BDA_MIDNIGHT], 0
        jmp     time_success

# --- MC146818 ------------------------------------------------------------------------------------------

.equ RTC_SECONDS, 0x00
.equ RTC_MINUTES, 0x02
.equ RTC_HOURS, 0x04
.equ RTC_DAY, 0x07
.equ RTC_MONTH, 0x08
.equ RTC_YEAR, 0x09
.equ RTC_STATUS_A, 0x0a
.equ RTC_STATUS_B, 0x0b
.equ RTC_STATUS_C, 0x0c
.equ RTC_CENTURY, 0x32
.equ RTC_UPDATE_IN_PROGRESS, 0x80
.equ RTC_SET, 0x80
.equ RTC_PERIODIC, 0x40

# 02h: hours and minutes in CX, seconds in DH, all BCD; DL = 0, no daylight saving.
clock_get_time:
        call    wait_for_update
        mov     al, RTC_HOURS
        call    read_cmos
        mov     ch, al
        mov     al, RTC_MINUTES
        call    read_cmos
        mov     cl, al
        mov     al, RTC_SECONDS
        call    read_cmos
        mov     dh, al
        mov     dl, 0
clock_give:
        mov     [bp + F_ECX], cx
        mov     [bp + F_EDX], dx
        mov     byte ptr [bp + F_AH], 0
        jmp     time_success

# 04h: century and year in CX, month and day in DX.
clock_get_date:
        call    wait_for_update
        mov     al, RTC_CENTURY
        call    read_cmos
        mov     ch, al
        mov     al, RTC_YEAR
        call    read_cmos
        mov     cl, al
        mov     al, RTC_MONTH
        call    read_cmos
        mov     dh, al
        mov     al, RTC_DAY
        call    read_cmos
        mov     dl, al
        jmp     clock_give

# 03h
clock_set_time:
        call    stop_clock
        mov     al, RTC_HOURS
        mov     ah, ch
        call    write_cmos
        mov     al, RTC_MINUTES
        mov     ah, cl
        call    write_cmos
        mov     al, RTC_SECONDS
        mov     ah, dh
        jmp     clock_put

# 05h
clock_set_date:
        call    stop_clock
        mov     al, RTC_CENTURY
        mov     ah, ch
        call    write_cmos
        mov     al, RTC_YEAR
        mov     ah, cl
        call    write_cmos
        mov     al, RTC_MONTH
        mov     ah, dh
        call    write_cmos
        mov     al, RTC_DAY
        mov     ah, dl
clock_put:
        call    write_cmos
        mov     al, RTC_STATUS_B
        mov     ah, 0x02                # 24 hours, BCD, running
        call    write_cmos
        jmp     time_success

stop_clock:
        mov     al, RTC_STATUS_B
        mov     ah, RTC_SET | 0x02
        jmp     write_cmos

# Until no update is near: the registers are consistent then for 244 us. Changes AL.
wait_for_update:
        mov     al, RTC_STATUS_A
        call    read_cmos
        test    al, RTC_UPDATE_IN_PROGRESS
        jnz     wait_for_update
        ret

# AL: the register that AL names.
read_cmos:
        out     CMOS_INDEX, al
        in      al, CMOS_DATA
        ret

# AX: the two bytes from register AL on.
read_cmos_word:
        mov     ah, al
        inc     al
        call    read_cmos
        xchg    al, ah
        jmp     read_cmos

# Register AL becomes AH.
write_cmos:
        out     CMOS_INDEX, al
        mov     al, ah
        out     CMOS_DATA, al
        ret

# --- periodic interrupt --------------------------------------------------------------------------------

periods_left:   .long   0

# Sleeps for EAX periods and the rest of the current one. Changes AX.
sleep_periods:
        inc     eax
        mov     cs:[periods_left], eax
        in      al, PIC_SLAVE + 1
        push    ax
        and     al, 0xff & ~(1 << 0)
        out     PIC_SLAVE + 1, al
        mov     al, RTC_STATUS_C        # a flag that is left would hold the interrupt back
        call    read_cmos
        mov     al, RTC_STATUS_B
        mov     ah, RTC_PERIODIC | 0x02
        call    write_cmos
1:      sti
        hlt
        cli
        cmp     dword ptr cs:[periods_left], 0
        jne     1b
        mov     al, RTC_STATUS_B
        mov     ah, 0x02
        call    write_cmos
        pop     ax
        out     PIC_SLAVE + 1, al
        ret

# IRQ 8
rtc_irq:
        push    ax
        mov     al, RTC_STATUS_C
        call    read_cmos
        cmp     dword ptr cs:[periods_left], 0
        je      1f
        dec     dword ptr cs:[periods_left]
1:      mov     al, PIC_EOI
        out     PIC_SLAVE, al
        out     PIC_MASTER, al
        pop     ax
        iret

# The ticks since midnight at 1193182/65536 a second, from the clock's time of day.
set_ticks_from_clock:
        call    wait_for_update
        mov     al, RTC_HOURS
        call    read_cmos_binary
        imul    ebx, eax, 60
        mov     al, RTC_MINUTES
        call    read_cmos_binary
        add     ebx, eax
        imul    ebx, ebx, 60
        mov     al, RTC_SECONDS
        call    read_cmos_binary
        add     eax, ebx
        mov     ecx, 1193182
        mul     ecx
        shrd    eax, edx, 16
        mov     [BDA_TICKS], eax
        ret

# EAX: the BCD register that AL names, as a number.
read_cmos_binary:
        call    read_cmos
        mov     ah, al
        shr     ah, 4
        and     al, 0x0f
        aad
        movzx   eax, al
        ret
