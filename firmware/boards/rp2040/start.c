/* Vectors, memory, clocks, resets: what stands between the boot ROM and main. */
#include <stddef.h>
#include <string.h>

#include "rp2040.h"

extern uint32_t data_start, data_end, bss_start, bss_end, stack_top;
extern const uint32_t data_from;
void reset(void);
void stay(void);

/* A fault: nothing feeds the watchdog any more, it resets the chip. */
void stay(void) {
    for (;;) {
    }
}

typedef void (*vector_t)(void);
__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + 32] = {
    (vector_t)(void *)&stack_top, reset, stay, stay, [11] = stay, [14] = stay, [15] = stay, [16 + UART0_IRQ] = uart_interrupt,
};

void reset(void) {
    const uint32_t *from = &data_from;
    for (uint32_t *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    (void)main();
    stay();
}

void *memset(void *to, int value, size_t size) {
    volatile uint8_t *p = to; /* volatile: or the compiler would make a call of memset out of it */
    while (size-- != 0u) {
        *p++ = (uint8_t)value;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t size) {
    volatile uint8_t *p = to;
    const uint8_t *q = from;
    while (size-- != 0u) {
        *p++ = *q++;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const uint8_t *p = a, *q = b;
    for (; size != 0u; size--, p++, q++) {
        if (*p != *q) {
            return *p < *q ? -1 : 1;
        }
    }
    return 0;
}

static void release(uint32_t blocks) {
    CLEAR(RESETS) = blocks;
    while ((REG(RESETS + 8u) & blocks) != blocks) {
    }
}

/* 12 MHz crystal; 125 MHz from the PLL (x 125 / 6 / 2) for cores and peripherals; a microsecond tick. */
void clocks_start(void) {
    REG(XOSC) = 0xAA0u;
    REG(XOSC + 0x0Cu) = 47u; /* 1 ms to settle */
    SET(XOSC) = 0xFABu << 12;
    while (!(REG(XOSC + 4u) & 0x80000000u)) {
    }
    REG(CLOCKS + 0x30u) = 2u; /* reference: crystal */
    while (REG(CLOCKS + 0x38u) != 4u) {
    }
    REG(CLOCKS + 0x3Cu) = 0u; /* system: reference, while the PLL is set up */
    while (REG(CLOCKS + 0x44u) != 1u) {
    }
    SET(RESETS) = 1u << 12;
    release(1u << 12);
    REG(PLL_SYS) = 1u;
    REG(PLL_SYS + 8u) = 125u;
    CLEAR(PLL_SYS + 4u) = 0x21u; /* power, oscillator */
    while (!(REG(PLL_SYS) & 0x80000000u)) {
    }
    REG(PLL_SYS + 0x0Cu) = (6u << 16) | (2u << 12);
    CLEAR(PLL_SYS + 4u) = 0x08u; /* dividers */
    REG(CLOCKS + 0x3Cu) = 1u;
    while (REG(CLOCKS + 0x44u) != 2u) {
    }
    REG(CLOCKS + 0x48u) = 1u << 11;              /* peripherals: system */
    REG(CLOCKS + 0x60u) = (1u << 11) | (3u << 5); /* ADC: crystal */
    release((1u << 0) | (1u << 5) | (1u << 8) | (1u << 14) | (1u << 21) | (1u << 22)); /* ADC IO PADS PWM TIMER UART0 */
    REG(WATCHDOG + 0x2Cu) = (1u << 9) | 12u;
}

void gpio_use(uint8_t gpio, enum gpio_function function) {
    CLEAR(PADS_BANK0 + 4u + 4u * gpio) = 0x80u;
    SET(PADS_BANK0 + 4u + 4u * gpio) = 0x40u;
    REG(IO_BANK0 + 4u + 8u * gpio) = (uint32_t)function;
}

uint8_t reset_cause(void) {
    uint32_t chip = REG(CHIP_RESET);
    if (REG(WATCHDOG + 8u) & 1u) {
        return BOARD_RESET_WATCHDOG;
    }
    if (chip & (1u << 16)) {
        return BOARD_RESET_PIN;
    }
    return (chip & (1u << 8)) ? BOARD_RESET_POWER : BOARD_RESET_UNKNOWN;
}

uint32_t random_boot_id(void) {
    uint32_t id = 0;
    for (uint8_t i = 0; i < 64u; i++) {
        uint32_t from = clock_us();
        while (clock_us() - from < 3u) { /* let the ring oscillator drift on */
        }
        id = (id << 1) ^ (id >> 31) ^ (REG(ROSC + 0x1Cu) & 1u);
    }
    return id == 0u ? 1u : id;
}

void watchdog_start(uint32_t us) {
    CLEAR(WATCHDOG) = 1u << 30;
    REG(PSM + 8u) = 0x1FFFCu; /* everything but the oscillators */
    watchdog_feed(us);
    SET(WATCHDOG) = 1u << 30;
}
