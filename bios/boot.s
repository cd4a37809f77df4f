# INT 19h and what ends a boot: a program that lies in memory, a boot sector, or nothing to start.

bootstrap:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, BOOT_SECTOR
        cmp     word ptr cs:[start_kind], START_PROGRAM
        je      start_program
        ja      restart
        sti
        xor     dl, dl
        call    try_drive
        mov     dl, 0x80
        call    try_drive
        int     0x18

# Documentation/arch/x86/boot.rst, "Running the Kernel": all data segments the same, interrupts off.
start_program:
        mov     word ptr cs:[start_kind], START_AGAIN
        mov     ax, cs:[start_segment]
        mov     ss, ax
        mov     sp, cs:[start_stack]
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        push    cs:[start_code]
        push    0
        xor     eax, eax
        retf

# The host puts the program into memory again.
restart:
        mov     dx, RESET_CONTROL
        mov     al, 0x06
        out     dx, al
1:      hlt
        jmp     1b

# Starts the boot sector of drive DL at 0000:7C00 where there is one, else returns.
try_drive:
        push    dx
        xor     ax, ax
        mov     es, ax
        mov     ax, 0x0201
        mov     bx, BOOT_SECTOR
        mov     cx, 1
        mov     dh, 0
        int     0x13
        pop     dx
        jc      1f
        cmp     word ptr es:[BOOT_SECTOR + 510], 0xaa55
        jne     1f
        xor     dh, dh
        xor     ax, ax
        ljmp    0, BOOT_SECTOR
1:      ret

no_boot_device:
        mov     si, offset no_boot_text
        call    print
stop:   cli
        hlt
        jmp     stop

no_boot_text:
        .asciz  "nodevm ROM: no bootable drive\r\n"

# Vector 06h, which no program of the PC/AT's time takes for itself: #UD would repeat for ever.
invalid_opcode:
        enter_service
        mov     si, offset invalid_text
        call    print
        mov     ax, [bp + F_CS]
        call    print_word
        mov     al, ':'
        call    write_character
        mov     ax, [bp + F_IP]
        call    print_word
        mov     si, offset end_of_line
        call    print
        jmp     stop

invalid_text:
        .asciz  "\r\nnodevm ROM: invalid opcode at "
end_of_line:
        .asciz  "\r\n"

# Prints the text at CS:SI.
print:  lods    byte ptr cs:[si]
        test    al, al
        jz      1f
        call    write_character
        jmp     print
1:      ret

# Prints AX in hexadecimal.
print_word:
        mov     cx, 4
1:      rol     ax, 4
        push    ax
        and     al, 0x0f
        cmp     al, 10
        sbb     al, 0x69                # with DAS: '0' to '9', 'A' to 'F'
        das
        call    write_character
        pop     ax
        loop    1b
        ret
