# The machine's own 16-bit ROM: what boot sectors and the setup code of Linux call before there is an
# operating system. It lies at 0xF0000 (segment 0xF000) and, where the processor starts, below 4 GiB.
# The places and the meaning of the services are those of the PC/AT's BIOS ("IBM PC/AT Technical
# Reference", BIOS interface); newer ones are cited where they are.
#
# The segment is shadow RAM, so variables of the ROM lie in it (cs:[...]), where no program looks.

.intel_syntax noprefix
.code16
.section .text
.globl _start
_start:

.include "frame.inc"
.include "hand-off.s"
.include "post.s"
.include "boot.s"
.include "video.s"
.include "keyboard.s"
.include "keymap.s"
.include "disk.s"
.include "system.s"
.include "time.s"

# Programs take these from where the PC/AT has them.
.org 0xe05b
        jmp     post

.org 0xe6f5
config_table:                           # INT 15h function C0h
        .word   8                       # bytes that follow
        .byte   MODEL_AT, 0x01, 0x00    # model, submodel, revision
        .byte   0b01110100              # second 8259, RTC, INT 09h calls 4Fh, EBDA
        .byte   0, 0, 0, 0

.org 0xefc7
floppy_table:                           # INT 1Eh: timing and format of the 1.44 MB drive
        .byte   0xaf, 0x02, 0x25, 0x02, 18, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08

.org 0xfff0
        ljmp    SEGMENT, 0xe05b         # where the processor starts
        .ascii  "01/01/26"              # release date
        .byte   0, MODEL_AT, 0
