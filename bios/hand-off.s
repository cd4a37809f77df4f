# What the host leaves for the ROM before the processor starts: src/loader/rom.ts writes it, at the
# very beginning of the segment. Offsets are fixed; the signature names this layout.

.equ START_FROM_DISK, 0
.equ START_PROGRAM, 1
.equ START_AGAIN, 2                     # a program that was started is gone by now

.equ MEMORY_ENTRY_SIZE, 20
.equ MEMORY_ENTRIES_MAX, 16

.equ DRIVE_SIZE, 16
.equ DRIVE_SECTORS, 0                   # 0: no such drive; 64 bits
.equ DRIVE_CYLINDERS, 8
.equ DRIVE_HEADS, 10
.equ DRIVE_TRACK, 12                    # sectors of a track
.equ DRIVE_TYPE, 14                     # of a floppy drive, as the CMOS RAM of a PC has it

hand_off:
        .ascii  "NODEVM-1"
# 0x08: what to start once the services are there.
start_kind:     .word   START_FROM_DISK
start_segment:  .word   0               # DS, ES, FS, GS and SS of a program that lies in memory
start_stack:    .word   0               # its SP
start_code:     .word   0               # its CS; it starts at offset 0
# 0x10: memory map for INT 15h function E820h, and the number of its entries.
memory_entries: .word   0
                .word   0
# 0x14: drives 00h and 80h.
drives:
        .fill   2 * DRIVE_SIZE, 1, 0
# 0x34: base, length, type of each range.
memory_map:
        .fill   MEMORY_ENTRIES_MAX * MEMORY_ENTRY_SIZE, 1, 0
