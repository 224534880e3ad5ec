/* The line on UART 0: received by interrupt into a ring, sent from the hardware's queue of 32. */
#include "rp2040.h"

#define RING 1024u /* a power of two: 10 ms of a full line, more than a page of flash takes to write */

static uint8_t ring[RING];
static volatile uint16_t head, tail;

void uart_start(void) {
    REG(UART0 + 0x24u) = 7u; /* 125 MHz / 16 / 7.8125 = 1 Mbaud exactly */
    REG(UART0 + 0x28u) = 52u;
    REG(UART0 + 0x2Cu) = (3u << 5) | (1u << 4);
    REG(UART0 + 0x34u) = 0u; /* tell from 4 bytes on, or after 32 bits of quiet */
    REG(UART0 + 0x38u) = (1u << 4) | (1u << 6);
    REG(UART0 + 0x30u) = (1u << 0) | (1u << 8) | (1u << 9);
    gpio_use(0, GPIO_UART);
    gpio_use(1, GPIO_UART);
    REG(NVIC_ENABLE) = 1u << UART0_IRQ;
}

void uart_interrupt(void) {
    while (!(REG(UART0 + 0x18u) & (1u << 4))) {
        uint8_t byte = (uint8_t)REG(UART0);
        uint16_t next = (uint16_t)((head + 1u) & (RING - 1u));
        if (next != tail) {
            ring[head] = byte;
            head = next;
        }
    }
    REG(UART0 + 0x44u) = (1u << 4) | (1u << 6);
}

uint16_t uart_waiting(void) { return (uint16_t)((head - tail) & (RING - 1u)); }

uint8_t uart_take(void) {
    uint8_t byte = ring[tail];
    tail = (uint16_t)((tail + 1u) & (RING - 1u));
    return byte;
}

bool uart_room(void) { return !(REG(UART0 + 0x18u) & (1u << 5)); }

void uart_give(uint8_t byte) { REG(UART0) = byte; }
