# INT 10h: a text screen of 80 by 25 whose other end is the terminal on COM1. There is no video memory:
# text goes out as it is written, and where a program moves the cursor, an ECMA-48 sequence does so too.

# Where the terminal's own cursor is: column, row.
terminal:       .word   0

# The last cell written without moving the cursor, and its character: programs set a cell's colour so, and
# write the same character again as teletype, which need not go out twice.
last_cell:      .word   0
last_character: .byte   0

video_service:
        enter_service
        dispatch_ah video_table, 0x14
video_done:                             # also for functions that only EGA, VGA and VESA have
        leave_service

video_table:
        .word   video_set_mode, video_set_shape, video_set_cursor, video_get_cursor
        .word   video_done, video_done, video_scroll_up, video_scroll_down
        .word   video_read_cell, video_write_cells, video_write_cells, video_done
        .word   video_done, video_no_pixel, video_teletype, video_get_mode
        .word   video_done, video_font, video_done, video_write_string

# 00h: all modes are text mode 3. Bit 7 keeps what is on the screen.
video_set_mode:
        mov     word ptr [BDA_CURSOR_SHAPE], 0x0607
        test    al, 0x80
        jnz     1f
        call    clear_screen
1:      mov     word ptr [BDA_CURSOR], 0
        jmp     video_done

# 01h
video_set_shape:
        mov     [BDA_CURSOR_SHAPE], cx
        jmp     video_done

# 02h
video_set_cursor:
        cmp     dl, COLUMNS
        jae     1f
        cmp     dh, ROWS
        jae     1f
        mov     [BDA_CURSOR], dx
1:      jmp     video_done

# 03h
video_get_cursor:
        mov     ax, [BDA_CURSOR]
        mov     [bp + F_EDX], ax
        mov     ax, [BDA_CURSOR_SHAPE]
        mov     [bp + F_ECX], ax
        jmp     video_done

# 06h and 07h: windows of the whole screen's width and height only.
video_scroll_up:
        call    is_whole_screen
        jne     2f
        test    al, al
        jz      1f
        push    word ptr [BDA_CURSOR]
        movzx   cx, al
        mov     word ptr [BDA_CURSOR], (ROWS - 1) << 8
        call    follow_cursor
3:      mov     al, '\n'
        call    send
        loop    3b
        pop     word ptr [BDA_CURSOR]
2:      jmp     video_done
1:      call    clear_screen
        jmp     video_done

video_scroll_down:
        call    is_whole_screen
        jne     2b
        test    al, al
        jz      1b
        jmp     video_done

# ZF: CX to DX is the whole screen. A scroll by more than its height clears it (AL becomes 0).
is_whole_screen:
        cmp     al, ROWS
        jb      1f
        mov     al, 0
1:      test    cx, cx
        jne     2f
        cmp     dh, ROWS - 1
        jne     2f
        cmp     dl, COLUMNS - 1
2:      ret

# 08h: what was written is not kept; a blank.
video_read_cell:
        mov     word ptr [bp + F_EAX], 0x0720
        jmp     video_done

# 09h and 0Ah: CX times AL from the cursor on, which stays.
video_write_cells:
        mov     bx, COLUMNS
        sub     bl, [BDA_CURSOR]
        cmp     cx, bx
        jbe     1f
        mov     cx, bx                  # to the end of the line
1:      jcxz    2f
        push    ax
        call    follow_cursor
        pop     ax
        cmp     al, ' '
        jae     3f
        mov     al, '.'                 # pictures that are control characters here
3:      mov     cs:[last_character], al
        mov     bx, [BDA_CURSOR]
        mov     cs:[last_cell], bx
4:      call    send
        call    terminal_forward
        loop    4b
2:      jmp     video_done

# 0Dh
video_no_pixel:
        mov     byte ptr [bp + F_AL], 0
        jmp     video_done

# 0Eh
video_teletype:
        call    write_character
        jmp     video_done

# 0Fh
video_get_mode:
        mov     word ptr [bp + F_EAX], COLUMNS << 8 | TEXT_MODE
        mov     byte ptr [bp + F_BH], 0
        jmp     video_done

# 11h, of which AL=30h says how large a character and the screen are; there is no font.
video_font:
        cmp     al, 0x30
        jne     1f
        mov     word ptr [bp + F_ECX], 16
        mov     byte ptr [bp + F_DL], ROWS - 1
1:      jmp     video_done

# 13h: CX characters at ES:BP, from DX on. AL: bit 0 moves the cursor, bit 1 means attributes between.
video_write_string:
        mov     es, [bp + F_ES]
        mov     si, [bp + F_EBP]
        push    word ptr [BDA_CURSOR]
        mov     [BDA_CURSOR], dx
        mov     bl, al
        jcxz    2f
1:      lods    byte ptr es:[si]
        call    write_character
        test    bl, 2
        jz      3f
        inc     si
3:      loop    1b
2:      pop     dx
        test    bl, 1
        jnz     4f
        mov     [BDA_CURSOR], dx
4:      jmp     video_done

# --- the terminal ------------------------------------------------------------------------------------

# Writes AL at the cursor and moves it on. Wants DS = 0; keeps all registers.
write_character:
        push    ax
        push    dx
        mov     dx, [BDA_CURSOR]
        cmp     al, cs:[last_character]
        jne     4f
        cmp     dx, cs:[last_cell]
        jne     4f
        inc     dx
        cmp     dx, cs:[terminal]
        lea     dx, [edx - 1]
        je      3f
4:      push    ax
        call    follow_cursor
        pop     ax
        call    send
3:      mov     byte ptr cs:[last_character], 0
        cmp     al, '\r'
        je      carriage_return
        cmp     al, '\n'
        je      line_feed
        cmp     al, BACKSPACE
        je      backspace
        cmp     al, BELL
        je      2f
        inc     dl
        cmp     dl, COLUMNS
        jb      1f
        # Terminals wait with the step to the next line until there is more to write.
        push    ax
        mov     al, '\r'
        call    send
        mov     al, '\n'
        call    send
        pop     ax
        xor     dl, dl
line_feed:
        cmp     dh, ROWS - 1
        jae     1f
        inc     dh
        jmp     1f
carriage_return:
        xor     dl, dl
        jmp     1f
backspace:
        sub     dl, 1
        adc     dl, 0
1:      mov     [BDA_CURSOR], dx
        mov     cs:[terminal], dx
2:      pop     dx
        pop     ax
        ret

# Moves the terminal's cursor to where the program wants it, by the shortest means. Changes AX.
follow_cursor:
        push    dx
        mov     dx, [BDA_CURSOR]
        mov     ax, cs:[terminal]
        cmp     ax, dx
        je      2f
        mov     cs:[terminal], dx
        test    dl, dl
        jnz     1f
        sub     dh, ah
        cmp     dh, 1
        ja      1f
        mov     al, '\r'
        call    send
        test    dh, dh
        jz      2f
        mov     al, '\n'
        call    send
        jmp     2f
1:      mov     dx, [BDA_CURSOR]
        call    send_position
2:      pop     dx
        ret

# The terminal has written one more character. Its cursor stays in the last column.
terminal_forward:
        cmp     byte ptr cs:[terminal], COLUMNS
        jae     1f
        inc     byte ptr cs:[terminal]
1:      ret

# Clears the terminal, once there is something on it; the cursor does not move. Changes AX.
clear_screen:
        cmp     word ptr cs:[terminal], 0
        je      1f
        push    dx
        xor     dx, dx
        mov     cs:[terminal], dx
        call    send_position
        call    send_csi
        mov     al, '2'
        call    send
        mov     al, 'J'
        call    send
        pop     dx
1:      ret

# ECMA-48 CUP: row DH, column DL, counted from 0 here and from 1 there. Changes AX.
send_position:
        call    send_csi
        mov     al, dh
        call    send_ordinal
        mov     al, ';'
        call    send
        mov     al, dl
        call    send_ordinal
        mov     al, 'H'
        jmp     send

send_csi:
        mov     al, 0x1b
        call    send
        mov     al, '['
        jmp     send

# Sends AL + 1 (below 100) in decimal. Changes AX.
send_ordinal:
        inc     al
        aam
        xchg    al, ah
        test    al, al
        jz      1f
        add     al, '0'
        call    send
1:      mov     al, ah
        add     al, '0'
# Sends AL by COM1; keeps all registers.
send:
        push    ax
        push    cx
        push    dx
        mov     ah, al
        mov     dx, COM1 + UART_LSR
        xor     cx, cx                  # a port that never gets ready is not there
1:      in      al, dx
        test    al, 0x20
        loopz   1b
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        pop     dx
        pop     cx
        pop     ax
        ret
