# INT 13h: drive 00h is the floppy, 80h the hard disk. The data itself moves through the host's
# firmware disk port (src/devices/firmware-disk.ts), whose status is already this service's.
# Functions 41h to 48h: "BIOS Enhanced Disk Drive Specification" 1.1 (Phoenix).

.equ DISK_READ, 0
.equ DISK_WRITE, 1
.equ DISK_VERIFY, 2

.equ DISK_OK, 0x00
.equ DISK_BAD_COMMAND, 0x01
.equ DISK_NOT_FOUND, 0x04
.equ DISK_NOT_READY, 0x80
.equ DISK_NO_CHANGE_LINE, 0x06

# SI is the drive's entry of the hand-off, BX is free; other registers are the caller's.
disk_service:
        enter_service
        cmp     ah, 0x01
        je      disk_last_status
        mov     si, offset drives
        test    dl, 0x7f
        jnz     2f
        test    dl, dl
        jns     1f
        add     si, DRIVE_SIZE
1:      cmp     dword ptr cs:[si + DRIVE_SECTORS], 0
        jne     3f
2:      cmp     ah, 0x15
        je      disk_absent
        cmp     ah, 0x08
        je      disk_no_parameters
        mov     ah, DISK_NOT_READY
        jmp     disk_end
3:      dispatch_ah disk_table, 0x19
        sub     ah, 0x41
        js      4f
        dispatch_ah extensions_table, 0x08
4:
disk_bad_command:
        mov     ah, DISK_BAD_COMMAND
        jmp     disk_end
disk_success:
        mov     ah, DISK_OK
# Ends with the status AH.
disk_end:
        mov     bx, BDA_FLOPPY_STATUS
        test    byte ptr [bp + F_DL], 0x80
        jz      1f
        mov     bx, BDA_DISK_STATUS
1:      mov     [bx], ah
disk_end_unchanged:
        mov     [bp + F_AH], ah
        and     byte ptr [bp + F_FLAGS], 0xff & ~FLAG_CARRY
        cmp     ah, 1
        cmc
        adc     byte ptr [bp + F_FLAGS], 0
        leave_service

disk_table:
        .word   disk_success, disk_bad_command, disk_read, disk_write
        .word   disk_verify, disk_bad_command, disk_bad_command, disk_bad_command
        .word   disk_parameters, disk_success, disk_bad_command, disk_bad_command
        .word   disk_success, disk_success, disk_bad_command, disk_bad_command
        .word   disk_success, disk_success, disk_bad_command, disk_bad_command
        .word   disk_success, disk_type, disk_change_line, disk_success
        .word   disk_success

extensions_table:
        .word   extensions_present, extended_read, extended_write, extended_verify
        .word   disk_success, disk_bad_command, extended_verify, extended_parameters

# 01h
disk_last_status:
        mov     ah, [BDA_FLOPPY_STATUS]
        test    dl, dl
        jns     disk_end_unchanged
        mov     ah, [BDA_DISK_STATUS]
        jmp     disk_end_unchanged

# --- by cylinder, head and sector ----------------------------------------------------------------------

disk_read:
        mov     bl, DISK_READ
        jmp     1f
disk_write:
        mov     bl, DISK_WRITE
        jmp     1f
disk_verify:
        mov     bl, DISK_VERIFY
1:      movzx   di, al
        mov     byte ptr [bp + F_AL], 0
        test    di, di
        jz      disk_bad_command
        call    sector_of_chs
        jc      disk_end
        movzx   edx, word ptr [bp + F_ES]
        shl     edx, 4
        movzx   ecx, word ptr [bp + F_EBX]
        add     edx, ecx
        mov     cx, di
        push    cx
        xor     edi, edi
        call    transfer
        pop     cx
        jc      disk_end
        mov     [bp + F_AL], cl
        jmp     disk_end

# EAX: the sector's number on the drive SI, from CX and DH; CF and status AH where there is none.
sector_of_chs:
        push    bx
        movzx   eax, cl                 # bits 6 and 7: cylinder 8 and 9
        and     al, 0x3f
        movzx   ebx, ax                 # sector, from 1
        mov     al, cl
        shr     al, 6
        mov     ah, al
        mov     al, ch
        cmp     ax, cs:[si + DRIVE_CYLINDERS]
        jae     1f
        movzx   cx, dh
        cmp     cx, cs:[si + DRIVE_HEADS]
        jae     1f
        dec     bx
        cmp     bx, cs:[si + DRIVE_TRACK]
        jae     1f                      # also for sector 0
        movzx   edx, word ptr cs:[si + DRIVE_HEADS]
        imul    eax, edx
        movzx   ecx, cx
        add     eax, ecx
        movzx   edx, word ptr cs:[si + DRIVE_TRACK]
        imul    eax, edx
        add     eax, ebx
        pop     bx
        clc
        ret
1:      pop     bx
        mov     ah, DISK_NOT_FOUND
        stc
        ret

# Moves CX sectors from EDI:EAX on, operation BL, by the memory at EDX. CF and AH: status. Changes EDX.
transfer:
        push    edx
        mov     dx, DISK_LBA
        out     dx, eax
        mov     dx, DISK_LBA_HIGH
        mov     eax, edi
        out     dx, eax
        mov     dx, DISK_BUFFER
        pop     eax
        out     dx, eax
        mov     al, bl                  # operation, drive, count
        mov     ah, [bp + F_DL]
        shl     eax, 16
        mov     ax, cx
        mov     dx, DISK_COMMAND
        out     dx, eax
        in      al, dx
        mov     ah, al
        cmp     ah, 1
        cmc
        ret

# --- what the drive is ---------------------------------------------------------------------------------

# 08h for a drive that is not there still says how many are.
disk_no_parameters:
        mov     word ptr [bp + F_ECX], 0
        mov     word ptr [bp + F_EDX], 0
        mov     ah, DISK_BAD_COMMAND + 6        # drive parameter activity failed
        test    dl, dl
        js      1f
        mov     al, [BDA_EQUIPMENT]
        and     al, 1
        mov     [bp + F_DL], al
        jmp     2f
1:      mov     al, [BDA_DISKS]
        mov     [bp + F_DL], al
2:      jmp     disk_end

# 08h
disk_parameters:
        mov     byte ptr [bp + F_AL], 0
        mov     cx, cs:[si + DRIVE_CYLINDERS]
        dec     cx
        xchg    cl, ch
        shl     cl, 6
        or      cl, cs:[si + DRIVE_TRACK]
        mov     [bp + F_ECX], cx
        mov     dh, cs:[si + DRIVE_HEADS]
        dec     dh
        mov     dl, 1
        mov     [bp + F_EDX], dx
        test    byte ptr cs:[si + DRIVE_TYPE], 0xff
        jz      disk_success
        movzx   bx, byte ptr cs:[si + DRIVE_TYPE]
        mov     [bp + F_EBX], bx
        mov     word ptr [bp + F_EDI], offset floppy_table
        mov     word ptr [bp + F_ES], SEGMENT
        jmp     disk_success

# 15h: AH is the answer, not a status.
disk_absent:
        mov     byte ptr [bp + F_AH], 0
        jmp     disk_typed
disk_type:
        test    dl, dl
        js      1f
        mov     byte ptr [bp + F_AH], 1         # a floppy without change line
        jmp     disk_typed
1:      mov     byte ptr [bp + F_AH], 3
        mov     eax, cs:[si + DRIVE_SECTORS]
        mov     [bp + F_EDX], ax
        shr     eax, 16
        mov     [bp + F_ECX], ax
disk_typed:
        and     byte ptr [bp + F_FLAGS], 0xff & ~FLAG_CARRY
        leave_service

# 16h
disk_change_line:
        mov     ah, DISK_NO_CHANGE_LINE
        test    dl, dl
        jns     disk_end
        jmp     disk_bad_command

# --- extensions ----------------------------------------------------------------------------------------

# 41h: version 1.x, fixed disk subset. Floppies have none.
extensions_present:
        test    dl, dl
        jns     disk_bad_command
        cmp     word ptr [bp + F_EBX], 0x55aa
        jne     disk_bad_command
        mov     word ptr [bp + F_EBX], 0xaa55
        mov     word ptr [bp + F_ECX], 1
        mov     byte ptr [BDA_DISK_STATUS], DISK_OK
        mov     byte ptr [bp + F_AH], 0x01
        jmp     disk_typed

# Disk address packet at the caller's DS:SI.
.equ PACKET_SIZE, 0
.equ PACKET_COUNT, 2
.equ PACKET_OFFSET, 4
.equ PACKET_SEGMENT, 6
.equ PACKET_LBA, 8
.equ PACKET_SIZE_MIN, 0x10

extended_read:
        mov     bl, DISK_READ
        jmp     1f
extended_write:
        mov     bl, DISK_WRITE
        jmp     1f
extended_verify:                        # and seek
        mov     bl, DISK_VERIFY
1:      test    dl, dl
        jns     disk_bad_command
        mov     es, [bp + F_DS]
        mov     si, [bp + F_ESI]
        cmp     byte ptr es:[si + PACKET_SIZE], PACKET_SIZE_MIN
        jb      disk_bad_command
        movzx   edx, word ptr es:[si + PACKET_SEGMENT]
        shl     edx, 4
        movzx   ecx, word ptr es:[si + PACKET_OFFSET]
        add     edx, ecx
        mov     eax, es:[si + PACKET_LBA]
        mov     edi, es:[si + PACKET_LBA + 4]
        mov     cx, es:[si + PACKET_COUNT]
        call    transfer
        jnc     disk_success
        mov     word ptr es:[si + PACKET_COUNT], 0
        jmp     disk_end

# 48h: result buffer at the caller's DS:SI.
.equ RESULT_SIZE, 26

extended_parameters:
        test    dl, dl
        jns     disk_bad_command
        mov     es, [bp + F_DS]
        mov     di, [bp + F_ESI]
        cmp     word ptr es:[di], RESULT_SIZE
        jb      disk_bad_command
        mov     ax, RESULT_SIZE
        stosw
        mov     ax, 1 << 1              # the geometry is valid
        stosw
        movzx   eax, word ptr cs:[si + DRIVE_CYLINDERS]
        stosd
        movzx   eax, word ptr cs:[si + DRIVE_HEADS]
        stosd
        movzx   eax, word ptr cs:[si + DRIVE_TRACK]
        stosd
        mov     eax, cs:[si + DRIVE_SECTORS]
        stosd
        mov     eax, cs:[si + DRIVE_SECTORS + 4]
        stosd
        mov     ax, 512
        stosw
        jmp     disk_success
