# Power-on: interrupt vectors, data areas, interrupt controllers, timer and serial port, then INT 19h.

post:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, BOOT_SECTOR
        xor     di, di                  # vectors and BIOS data area
        mov     cx, 0x500 / 2
        rep     stosw
        call    set_vectors
        call    set_data_areas
        call    start_interrupt_controllers
        call    start_local_apic
        call    start_timer
        call    start_serial
        call    set_ticks_from_clock
        sti
        int     0x19

# --- interrupt vectors -------------------------------------------------------------------------------

set_vectors:
        mov     eax, SEGMENT << 16
        mov     ax, offset ignore
        xor     di, di
        mov     cx, 0x20
        rep     stosd
        mov     ax, offset ignore_irq
        mov     di, 0x08 * 4
        mov     cx, 8
        rep     stosd
        mov     ax, offset ignore_slave_irq
        mov     di, 0x70 * 4
        mov     cx, 8
        rep     stosd
        mov     si, offset vectors
1:      lods    word ptr cs:[si]
        test    ax, ax
        jz      2f
        mov     di, ax
        lods    word ptr cs:[si]
        mov     [di], ax
        mov     word ptr [di + 2], SEGMENT
        jmp     1b
2:      ret

.macro vector number, handler
        .word   \number * 4, \handler
.endm

vectors:
        vector  0x06, invalid_opcode
        vector  0x08, timer_tick
        vector  0x0c, serial_irq
        vector  0x10, video_service
        vector  0x11, equipment_service
        vector  0x12, base_memory_service
        vector  0x13, disk_service
        vector  0x14, serial_service
        vector  0x15, system_service
        vector  0x16, keyboard_service
        vector  0x17, printer_service
        vector  0x18, no_boot_device
        vector  0x19, bootstrap
        vector  0x1a, time_service
        vector  0x1d, 0
        vector  0x1e, floppy_table
        vector  0x1f, 0
        vector  0x70, rtc_irq
        .word   0

ignore_slave_irq:
        push    ax
        mov     al, PIC_EOI
        out     PIC_SLAVE, al
        jmp     1f
ignore_irq:
        push    ax
1:      mov     al, PIC_EOI
        out     PIC_MASTER, al
        pop     ax
ignore:
        iret

# --- data areas --------------------------------------------------------------------------------------

# FPU, colour text in 80 columns; floppy drives and serial ports are added.
.equ EQUIPMENT, 0b0000000000100010

set_data_areas:
        mov     word ptr [BDA_EBDA], EBDA_SEGMENT
        mov     word ptr [BDA_BASE_KIB], BASE_KIB
        mov     word ptr [BDA_KEY_HEAD], KEY_BUFFER
        mov     word ptr [BDA_KEY_TAIL], KEY_BUFFER
        mov     word ptr [BDA_KEY_START], KEY_BUFFER
        mov     word ptr [BDA_KEY_END], KEY_BUFFER_END
        mov     byte ptr [BDA_KEYBOARD_FLAGS], 0x10     # enhanced keyboard
        mov     byte ptr [BDA_VIDEO_MODE], TEXT_MODE
        mov     word ptr [BDA_COLUMNS], COLUMNS
        mov     word ptr [BDA_PAGE_SIZE], 0x1000
        mov     word ptr [BDA_CURSOR_SHAPE], 0x0607
        mov     word ptr [BDA_CRTC], 0x3d4
        mov     byte ptr [BDA_LAST_ROW], ROWS - 1
        mov     byte ptr [BDA_CELL_HEIGHT], 16
        mov     word ptr [BDA_EQUIPMENT], EQUIPMENT
        cmp     dword ptr cs:[drives + DRIVE_SECTORS], 0
        je      1f
        or      byte ptr [BDA_EQUIPMENT], 1
1:      cmp     dword ptr cs:[drives + DRIVE_SIZE + DRIVE_SECTORS], 0
        je      2f
        mov     byte ptr [BDA_DISKS], 1
2:      mov     ax, EBDA_SEGMENT
        mov     es, ax
        xor     ax, ax
        xor     di, di
        mov     cx, EBDA_KIB * 1024 / 2
        rep     stosw
        mov     byte ptr es:[0], EBDA_KIB
        mov     es, ax
        ret

# --- interrupt controllers and timer -----------------------------------------------------------------

# 8259A data sheet, "Initialization Command Words": vectors 08h and 70h, cascade on line 2. Only the
# timer and the cascade are let through.
start_interrupt_controllers:
        mov     al, 0x11
        out     PIC_MASTER, al
        out     PIC_SLAVE, al
        mov     al, 0x08
        out     PIC_MASTER + 1, al
        mov     al, 0x70
        out     PIC_SLAVE + 1, al
        mov     al, 1 << 2
        out     PIC_MASTER + 1, al
        mov     al, 2
        out     PIC_SLAVE + 1, al
        mov     al, 0x01
        out     PIC_MASTER + 1, al
        out     PIC_SLAVE + 1, al
        mov     al, 0b11111010
        out     PIC_MASTER + 1, al
        mov     al, 0xff
        out     PIC_SLAVE + 1, al
        ret

.equ LOCAL_APIC, 0xfee00000
.equ APIC_SPURIOUS, 0xf0
.equ APIC_LINT0, 0x350
.equ APIC_LINT1, 0x360

# Virtual wire mode, MultiProcessor Specification 1.4, "Virtual Wire Mode via Local APIC": the 8259s
# interrupt through LINT0, NMIs come by LINT1.
start_local_apic:
        call    flat_segments
        mov     ebx, LOCAL_APIC
        mov     dword ptr [ebx + APIC_SPURIOUS], 0x1ff
        mov     dword ptr [ebx + APIC_LINT0], 0x700
        mov     dword ptr [ebx + APIC_LINT1], 0x400
        jmp     real_segments

# Square waves from counter 0, at 18.2 Hz: 8254 data sheet, "Control Word Format".
start_timer:
        mov     al, 0x36
        out     PIT_CONTROL, al
        xor     al, al
        out     PIT_COUNTER0, al
        out     PIT_COUNTER0, al
        ret

# --- serial ports ------------------------------------------------------------------------------------

com_ports:      .word   0x3f8, 0x2f8, 0x3e8, 0x2e8

# Lists the ports that are there, and sets the first to 115200 baud, 8N1, FIFOs on.
start_serial:
        mov     si, offset com_ports
        mov     di, BDA_COM_PORTS
        mov     cx, 4
1:      lods    word ptr cs:[si]
        lea     dx, [eax + UART_SCRATCH]
        push    ax
        mov     al, 0x5a
        out     dx, al
        in      al, dx
        cmp     al, 0x5a
        pop     ax
        jne     2f
        mov     [di], ax
        add     di, 2
        add     word ptr [BDA_EQUIPMENT], 1 << 9
2:      loop    1b
        mov     dx, COM1 + UART_LCR
        mov     al, 0x83
        out     dx, al
        mov     dx, COM1
        mov     ax, 1
        out     dx, al
        mov     dx, COM1 + 1
        mov     al, ah
        out     dx, al
        mov     dx, COM1 + UART_LCR
        mov     al, 0x03
        out     dx, al
        mov     dx, COM1 + UART_FCR
        mov     al, 0x07
        out     dx, al
        mov     dx, COM1 + UART_MCR
        mov     al, 0x0b                # DTR, RTS, and OUT2, which lets interrupts through
        out     dx, al
        ret

# --- segments that reach all of the first 4 GiB --------------------------------------------------------

gdt:
        .quad   0
        .quad   0x00cf93000000ffff      # 08h: data, 4 GiB
        .quad   0x000093000000ffff      # 10h: data, 64 KiB
gdt_register:
        .word   . - gdt - 1
        .long   SEGMENT * 16 + gdt

# SDM volume 3, "Switching Back to Real-Address Mode": limits stay as protected mode left them.
# Both change AX and want interrupts off; DS and ES come back as 0.
flat_segments:
        mov     ax, 0x08
        jmp     1f
real_segments:
        mov     ax, 0x10
1:      push    ebx
        lgdt    cs:[gdt_register]
        mov     ebx, cr0
        or      bl, 1
        mov     cr0, ebx
        jmp     2f
2:      mov     ds, ax
        mov     es, ax
        and     bl, 0xfe
        mov     cr0, ebx
        ljmp    SEGMENT, 3f
3:      xor     ax, ax
        mov     ds, ax
        mov     es, ax
        pop     ebx
        ret
