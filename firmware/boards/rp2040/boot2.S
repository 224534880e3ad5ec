/* Second stage: the boot ROM copies these 252 bytes to RAM, checks the CRC-32 behind them and jumps in. Sets the
 * flash interface to plain serial reads (command 03h, which every chip knows) and starts the program at
 * 0x10000100. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .text, "ax"
    .global boot2
    .thumb_func
boot2:
    ldr r3, =0x18000000        /* SSI */
    movs r1, #0
    str r1, [r3, #0x08]        /* off while it is changed */
    movs r1, #4
    str r1, [r3, #0x14]        /* clock / 4 */
    ldr r1, =0x001F0300        /* standard SPI, 32 bits, "EEPROM read" */
    str r1, [r3, #0x00]
    movs r1, #0
    str r1, [r3, #0x04]
    ldr r1, =0x03000218        /* command 03h, 8 bits of it, 24 of address */
    ldr r2, =0x180000F4
    str r1, [r2]
    movs r1, #1
    str r1, [r3, #0x08]
    ldr r0, =0x10000100        /* the program's vectors */
    ldr r1, =0xE000ED08
    str r0, [r1]
    ldmia r0!, {r1, r2}
    msr msp, r1
    bx r2
    .ltorg
