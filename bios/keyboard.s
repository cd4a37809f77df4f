# INT 16h: the keyboard is the terminal on COM1. Its bytes become keys of the PC (scan code and character)
# in the keyboard buffer of the BIOS data area, where programs may look for themselves.

keyboard_service:
        enter_service
        call    poll_serial
        dispatch_ah keyboard_table, 0x13
keyboard_done:
        leave_service

keyboard_table:
        .word   keyboard_read, keyboard_peek, keyboard_shifts, keyboard_done
        .word   keyboard_done, keyboard_store, keyboard_done, keyboard_done
        .word   keyboard_done, keyboard_abilities, keyboard_done, keyboard_done
        .word   keyboard_done, keyboard_done, keyboard_done, keyboard_done
        .word   keyboard_read, keyboard_peek, keyboard_shifts

# 00h and 10h: waits for a key.
keyboard_read:
        mov     bx, [BDA_KEY_HEAD]
        cmp     bx, [BDA_KEY_TAIL]
        jne     1f
        call    wait_for_serial
        call    poll_serial
        jmp     keyboard_read
1:      mov     ax, [bx + BDA_SEGMENT * 16]
        mov     [bp + F_EAX], ax
        call    next_slot
        mov     [BDA_KEY_HEAD], bx
        jmp     keyboard_done

# 01h and 11h: ZF says that there is none.
keyboard_peek:
        and     byte ptr [bp + F_FLAGS], 0xff & ~FLAG_ZERO
        mov     bx, [BDA_KEY_HEAD]
        cmp     bx, [BDA_KEY_TAIL]
        je      1f
        mov     ax, [bx + BDA_SEGMENT * 16]
        mov     [bp + F_EAX], ax
        jmp     keyboard_done
1:      or      byte ptr [bp + F_FLAGS], FLAG_ZERO
        jmp     keyboard_done

# 02h and 12h: no shift key is ever seen held.
keyboard_shifts:
        mov     word ptr [bp + F_EAX], 0
        jmp     keyboard_done

# 05h: puts CX into the buffer; AL = 1 where it is full.
keyboard_store:
        mov     ax, cx
        call    store_key
        setc    [bp + F_AL]
        jmp     keyboard_done

# 09h: functions 10h to 12h are there.
keyboard_abilities:
        mov     byte ptr [bp + F_AL], 0x20
        jmp     keyboard_done

# The slot of the buffer behind BX.
next_slot:
        add     bx, 2
        cmp     bx, [BDA_KEY_END]
        jb      1f
        mov     bx, [BDA_KEY_START]
1:      ret

# Puts the key AX into the buffer; CF where it is full. Changes BX.
store_key:
        push    si
        mov     bx, [BDA_KEY_TAIL]
        mov     si, bx
        call    next_slot
        cmp     bx, [BDA_KEY_HEAD]
        stc
        je      1f
        mov     [si + BDA_SEGMENT * 16], ax
        mov     [BDA_KEY_TAIL], bx
        clc
1:      pop     si
        ret

# --- from the terminal -------------------------------------------------------------------------------

# Takes what COM1 has received while the buffer has room. Keeps all registers; wants DS = 0.
poll_serial:
        pusha
1:      mov     bx, [BDA_KEY_TAIL]
        call    next_slot
        cmp     bx, [BDA_KEY_HEAD]
        je      2f
        call    receive
        jc      2f
        call    key_of_byte
        call    store_key
        jmp     1b
2:      popa
        ret

# AL: the next byte of COM1; CF where there is none. Changes DX.
receive:
        mov     dx, COM1 + UART_LSR
        in      al, dx
        cmp     al, 0xff                # no such port
        je      1f
        test    al, 1
        jz      1f
        mov     dx, COM1
        in      al, dx
        clc
        ret
1:      stc
        ret

# The same, but waits as long as a terminal takes between two bytes of one key: some milliseconds.
# Changes CX and AH too.
receive_soon:
        mov     cx, 400                 # times 15 us
        in      al, PORT_B
        mov     ah, al
1:      call    receive
        jnc     3f
2:      in      al, PORT_B              # bit 4 changes with each refresh request
        xor     al, ah
        test    al, 0x10
        jz      1b
        xor     ah, 0x10
        loop    1b
        stc
3:      ret

# The key AX that the byte AL stands for, or the sequence that begins with it. Changes BX, CX, DX, SI.
key_of_byte:
        cmp     al, 0x1b
        je      escape_sequence
plain_key:
        mov     ah, 0
        test    al, al
        js      2f                      # above ASCII there is no key
        cmp     al, 0x7f
        jne     1f
        mov     al, BACKSPACE              # what terminals send for backspace
1:      cmp     al, '\n'
        jne     3f
        mov     al, '\r'                # lines from a file
3:      movzx   bx, al
        mov     ah, cs:[bx + scan_codes]
2:      ret

# ECMA-48 CSI, or SS3 as the VT100 sends in application mode. An ESC that nothing follows is the key.
escape_sequence:
        call    receive_soon
        jc      escape_key
        cmp     al, '['
        je      1f
        cmp     al, 'O'
        je      1f
        # Alt with a key.
        call    plain_key
        mov     al, 0
        ret
1:      call    receive_soon
        jc      escape_key
        mov     si, offset final_keys
2:      mov     bx, cs:[si]
        test    bl, bl
        jz      escape_key
        add     si, 2
        cmp     al, bl
        jne     2b
        cmp     al, '9'
        ja      3f
        push    bx
        call    receive_soon            # the ~ behind a number
        pop     bx
3:      mov     ah, bh
        mov     al, 0
        ret
escape_key:
        mov     ax, 0x011b
        ret

# Sleeps until COM1 has a byte or another interrupt comes. A program that serves COM1's interrupt
# itself is left alone.
wait_for_serial:
        push    ax
        push    dx
        cli
        cmp     word ptr [0x0c * 4], offset serial_irq
        jne     1f
        cmp     word ptr [0x0c * 4 + 2], SEGMENT
        jne     1f
        in      al, PIC_MASTER + 1
        push    ax
        and     al, 0xff & ~(1 << 4)
        out     PIC_MASTER + 1, al
        mov     dx, COM1 + UART_IER
        mov     al, 1
        out     dx, al
        sti
        hlt
        cli
        mov     al, 0
        out     dx, al
        pop     ax
        out     PIC_MASTER + 1, al
        jmp     2f
1:      sti
        hlt
2:      sti
        nop
        cli
        pop     dx
        pop     ax
        ret

# IRQ 4 only wakes the processor; the byte stays for poll_serial.
serial_irq:
        push    ax
        push    dx
        mov     dx, COM1 + UART_IER
        mov     al, 0
        out     dx, al
        mov     al, PIC_EOI
        out     PIC_MASTER, al
        pop     dx
        pop     ax
        iret
