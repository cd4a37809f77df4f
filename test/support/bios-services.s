# A boot sector, with seven more sectors behind it, that calls the ROM's services and says of each whether
# it answers as it should: "ok NAME" or "FAIL NAME". Drives are as test/boot/bios.test.ts makes them: in
# each sector from 16 on, the first four bytes are its number.

.intel_syntax noprefix
.code16
.globl _start

.equ buffer, 0x6000
.equ sector, 0x6800
.equ FIRST_NUMBERED, 16
.equ FLOPPY_HEADS, 2
.equ FLOPPY_TRACK, 18

_start:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7000
        sti
        cld
        mov     [drive], dl
        mov     ax, 0x0207              # the rest of this program
        mov     bx, 0x7e00
        mov     cx, 0x0002
        xor     dh, dh
        int     0x13
        jc      no_rest
        jmp     main
no_rest:
        mov     si, offset no_rest_text
        call    print
        cli
        hlt

no_rest_text:   .asciz "FAIL reading the program\r\n"
drive:          .byte 0

# Prints the text at SI.
print:  lodsb
        test    al, al
        jz      1f
        mov     ah, 0x0e
        xor     bx, bx
        int     0x10
        jmp     print
1:      ret

# Prints EAX in hexadecimal.
print_hex:
        mov     cx, 8
1:      rol     eax, 4
        push    eax
        and     al, 0x0f
        add     al, '0'
        cmp     al, '9'
        jbe     2f
        add     al, 'a' - '0' - 10
2:      mov     ah, 0x0e
        xor     bx, bx
        int     0x10
        pop     eax
        loop    1b
        ret

.org 510
        .word 0xaa55

# Reports \name: well where condition \when holds.
.macro check when, name
        j\when  1f
        mov     si, offset fail_text
        jmp     2f
1:      mov     si, offset ok_text
2:      call    print
        mov     si, offset 3f
        call    print
        jmp     4f
3:      .asciz  "\name\r\n"
4:
.endm

ok_text:        .asciz "ok "
fail_text:      .asciz "FAIL "

main:
        int     0x12
        cmp     ax, 639
        check   e, "12 base memory"
        int     0x11
        and     ax, 0x0032
        cmp     ax, 0x0022
        check   e, "11 equipment"

# --- 10h ---------------------------------------------------------------------------------------------

        mov     ah, 0x0f
        int     0x10
        cmp     ax, 0x5003
        check   e, "10/0f mode"
        mov     ah, 0x02
        mov     bh, 0
        mov     dx, 0x0507
        int     0x10
        mov     ah, 0x03
        int     0x10
        cmp     dx, 0x0507
        mov     ax, 0x0e0d
        pushf
        int     0x10
        popf
        check   e, "10/02 10/03 cursor"
        mov     bp, offset written
        mov     ax, 0x1301
        mov     bx, 0x0007
        mov     cx, 9
        mov     dx, 0x0600
        int     0x10
        mov     ah, 0x03
        int     0x10
        cmp     dx, 0x0700
        check   e, "10/13 string"
        mov     ax, 0x1a00
        int     0x10
        cmp     al, 0x1a
        check   ne, "10/1a no VGA"

# --- 15h ---------------------------------------------------------------------------------------------

        xor     ebx, ebx
        xor     ebp, ebp                # RAM, in KiB
1:      mov     eax, 0xe820
        mov     edx, 0x534d4150
        mov     ecx, 20
        mov     di, offset buffer
        int     0x15
        jc      2f
        cmp     eax, 0x534d4150
        jne     2f
        cmp     dword ptr [buffer + 16], 1
        jne     3f
        mov     eax, [buffer + 8]
        shr     eax, 10
        add     ebp, eax
3:      test    ebx, ebx
        jnz     1b
2:      cmp     ebp, 639 + 31 * 1024
        check   e, "15/e820 memory map"
        xor     edx, edx
        mov     eax, 0xe820
        int     0x15
        check   c, "15/e820 without SMAP"
        mov     ax, 0xe801
        int     0x15
        cmp     ax, 15 * 1024
        check   e, "15/e801 below 16 MiB"
        mov     ax, 0xe801
        int     0x15
        cmp     dx, 16 * 16
        check   e, "15/e801 above 16 MiB"
        mov     ah, 0x88
        int     0x15
        cmp     ax, 31 * 1024
        check   e, "15/88 extended memory"
        mov     ax, 0x2402
        int     0x15
        cmp     ax, 0x0001
        check   e, "15/2402 A20 is on"
        mov     ax, 0x2401
        int     0x15
        check   nc, "15/2401 A20"
        mov     ax, 0x2400
        int     0x15
        check   c, "15/2400 A20 stays on"
        mov     ax, 0x5300
        xor     bx, bx
        int     0x15
        check   c, "15/53 no APM"
        mov     ax, 0xe980
        mov     edx, 0x47534943
        int     0x15
        check   c, "15/e980 no SpeedStep"
        mov     ah, 0xc0
        int     0x15
        cmp     byte ptr es:[bx + 2], 0xfc
        push    0
        pop     es
        check   e, "15/c0 configuration"
        mov     ah, 0xc1
        int     0x15
        mov     ax, es
        push    0
        pop     es
        cmp     ax, 0x9fc0
        check   e, "15/c1 EBDA"

        mov     si, offset move_up
        mov     cx, 8
        mov     ah, 0x87
        int     0x15
        check   nc, "15/87 move up"
        mov     si, offset move_down
        mov     cx, 8
        mov     ah, 0x87
        int     0x15
        mov     si, offset pattern
        mov     di, offset buffer
        mov     cx, 16
        repe    cmpsb
        check   e, "15/87 move down"
        # The limit is 64 KiB as before: an access beyond faults.
        mov     word ptr [0x0d * 4], offset limit_fault
        mov     word ptr [0x0d * 4 + 2], 0
        mov     edi, 0x10000
        mov     al, [edi]
        stc
limit_done:
        check   nc, "15/87 segment limits"

        mov     ah, 0x00
        int     0x1a
        mov     bp, dx
        mov     cx, 0x0003              # 250 ms
        mov     dx, 0xd090
        mov     ah, 0x86
        int     0x15
        mov     ah, 0x00
        int     0x1a
        sub     dx, bp
        sub     dx, 4                   # 4 or 5 ticks of 55 ms
        cmp     dx, 1
        check   be, "15/86 wait, 1a/00 ticks"

# --- 1Ah ---------------------------------------------------------------------------------------------

        mov     ah, 0x04
        int     0x1a
        cmp     cx, 0x2026
        check   e, "1a/04 year"
        cmp     dx, 0x0101
        check   e, "1a/04 month and day"
        mov     ah, 0x02
        int     0x1a
        cmp     cx, 0x0000
        check   e, "1a/02 time"
        mov     ax, 0xb101
        int     0x1a
        check   c, "1a/b1 no PCI BIOS"

# --- 13h ---------------------------------------------------------------------------------------------

        call    test_reading
        mov     ah, 0x02
        mov     al, 1
        mov     dl, 0x05
        mov     cx, 1
        int     0x13
        check   c, "13 no such drive"
        mov     ah, 0x01
        mov     dl, 0x05
        int     0x13
        cmp     ah, 0x80
        check   e, "13/01 status"
        mov     ax, 0x0201
        mov     bx, offset sector
        mov     cx, 0x0000              # there is no sector 0
        mov     dl, [drive]
        mov     dh, 0
        int     0x13
        check   c, "13/02 no such sector"
        mov     ah, 0x01
        mov     dl, [drive]
        int     0x13
        cmp     ah, 0x04
        check   e, "13/02 no such sector: status"
        test    byte ptr [drive], 0x80
        jnz     1f
        call    floppy
        jmp     keyboard
1:      call    disk

# --- 16h ---------------------------------------------------------------------------------------------

keyboard:
        mov     ah, 0x01
        int     0x16
        check   e, "16/01 no key"
        mov     ah, 0x05
        mov     cx, 0x1234
        int     0x16
        mov     ah, 0x01
        int     0x16
        check   ne, "16/05 stored"
        mov     ah, 0x00
        int     0x16
        cmp     ax, 0x1234
        check   e, "16/00 stored"
        mov     si, offset keys_text
        call    print
1:      mov     ah, 0x00
        int     0x16
        push    ax
        movzx   eax, ax
        call    print_hex
        mov     si, offset end_of_line
        call    print
        pop     ax
        cmp     al, 'q'
        jne     1b
        mov     si, offset done_text
        call    print
        cli
        hlt

limit_fault:
        add     sp, 6
        sti
        clc
        jmp     limit_done

# Asks for the geometry and reads by it.
test_reading:
        mov     ah, 0x08
        mov     dl, [drive]
        int     0x13
        push    0
        pop     es
        pushf
        and     cx, 0x3f
        mov     [track], cx
        movzx   dx, dh
        inc     dx
        mov     [heads], dx
        popf
        check   nc, "13/08 parameters"
        mov     eax, FIRST_NUMBERED + 50
        call    read_chs
        check   nc, "13/02 read"
        cmp     dword ptr [sector], FIRST_NUMBERED + 50
        check   e, "13/02 the sector asked for"
        ret

# Reads sector EAX of the drive.
read_chs:
        xor     edx, edx
        movzx   ecx, word ptr [track]
        div     ecx
        mov     cl, dl
        inc     cl
        xor     edx, edx
        movzx   ebx, word ptr [heads]
        div     ebx
        mov     ch, al
        mov     dh, dl
        mov     dl, [drive]
        mov     bx, offset sector
        mov     ax, 0x0201
        int     0x13
        ret

floppy:
        cmp     word ptr [track], FLOPPY_TRACK
        check   e, "13/08 floppy: sectors"
        cmp     word ptr [heads], FLOPPY_HEADS
        check   e, "13/08 floppy: heads"
        mov     ah, 0x15
        mov     dl, 0
        int     0x13
        cmp     ah, 0x01
        check   e, "13/15 floppy: no change line"
        mov     ah, 0x41
        mov     bx, 0x55aa
        mov     dl, 0
        int     0x13
        check   c, "13/41 floppy: no extensions"
        lds     si, [0x1e * 4]
        cmp     byte ptr [si + 4], 18
        push    0
        pop     ds
        check   e, "1e floppy table"
        ret

disk:
        mov     ah, 0x41
        mov     bx, 0x55aa
        mov     dl, 0x80
        int     0x13
        cmp     bx, 0xaa55
        check   e, "13/41 extensions"
        mov     ah, 0x15
        mov     dl, 0x80
        int     0x13
        cmp     dx, 4096
        check   e, "13/15 sectors"
        mov     word ptr [buffer], 26
        mov     si, offset buffer
        mov     ah, 0x48
        mov     dl, 0x80
        int     0x13
        cmp     dword ptr [buffer + 16], 4096
        check   e, "13/48 sectors"
        mov     si, offset packet
        mov     ah, 0x42
        mov     dl, 0x80
        int     0x13
        check   nc, "13/42 read"
        cmp     dword ptr [sector], 4000
        check   e, "13/42 the sector asked for"
        mov     dword ptr [sector], 0x600d600d
        mov     si, offset packet
        mov     ax, 0x4300
        mov     dl, 0x80
        int     0x13
        check   nc, "13/43 write"
        mov     dword ptr [sector], 0
        mov     si, offset packet
        mov     ah, 0x42
        mov     dl, 0x80
        int     0x13
        cmp     dword ptr [sector], 0x600d600d
        check   e, "13/43 what was written"
        mov     dword ptr [packet + 8], 4096
        mov     si, offset packet
        mov     ah, 0x42
        mov     dl, 0x80
        int     0x13
        check   c, "13/42 beyond the end"
        cmp     word ptr [packet + 2], 0
        check   e, "13/42 beyond the end: count"
        ret

written:        .ascii "written\r\n"
pattern:        .ascii "sixteen bytes!!!"
keys_text:      .asciz "keys?\r\n"
done_text:      .asciz "done\r\n"
end_of_line:    .asciz "\r\n"
track:          .word 0
heads:          .word 0

packet: .byte   16, 0
        .word   1
        .word   sector, 0
        .quad   4000

# INT 15h function 87h: empty, GDT, source, destination, code, stack. Up goes beyond 16 MiB.
.equ HIGH, 0x1345678
move_up:
        .quad   0, 0
        .word   0xffff, pattern
        .byte   0, 0x93, 0, 0
        .word   0xffff, HIGH & 0xffff
        .byte   (HIGH >> 16) & 0xff, 0x93, 0, HIGH >> 24
        .quad   0, 0
move_down:
        .quad   0, 0
        .word   0xffff, HIGH & 0xffff
        .byte   (HIGH >> 16) & 0xff, 0x93, 0, HIGH >> 24
        .word   0xffff, buffer
        .byte   0, 0x93, 0, 0
        .quad   0, 0

.org 4096
