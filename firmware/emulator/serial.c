/* The serial line between host and board. */
#include <string.h>

#include "emulator.h"
#include "sim_io.h"

/* --- the line */

static bool line_put(line_t *l, uint64_t at, uint8_t byte) {
    if (l->count == LINE_SIZE) {
        return false;
    }
    l->items[(l->head + l->count++) % LINE_SIZE] = (timed_byte_t){at, byte};
    return true;
}

static timed_byte_t line_take(line_t *l) {
    timed_byte_t b = l->items[l->head];
    l->head = (l->head + 1) % LINE_SIZE;
    l->count--;
    return b;
}

/* simavr counts a parity bit that 8N1 has not: 176 cycles for a byte of 160. */
static void mend_pace(emu_t *e) {
    if (e->uart->cycles_per_byte == BYTE_CYCLES * 11u / 10u) {
        e->uart->cycles_per_byte = BYTE_CYCLES;
    }
}

static void find_uart(emu_t *e) {
    for (avr_io_t *io = e->avr->io_port; io != NULL; io = io->next) {
        avr_uart_t *u = (avr_uart_t *)io;
        if (strcmp(io->kind, "uart") == 0 && u->name == '0') {
            e->uart = u;
        }
    }
}

static uint32_t unread(const emu_t *e) { return (uint32_t)((e->uart->input.write - e->uart->input.read) & 63); }

static void on_uart_out(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    emu_t *e = param;
    mend_pace(e);
    uint64_t from = e->line_free > e->avr->cycle ? e->line_free : e->avr->cycle;
    e->line_free = from + BYTE_CYCLES;
    if (!line_put(&e->from_board, e->line_free, (uint8_t)value)) {
        e->lost_bytes++;
    }
}

static void on_xon(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    (void)value;
    ((emu_t *)param)->xoff = false;
}

static void on_xoff(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    if (value) {
        ((emu_t *)param)->xoff = true;
    }
}

bool hand_over(emu_t *e, uint64_t *due) {
    line_t *l = &e->to_board;
    if (l->count == 0) {
        *due = ~(uint64_t)0;
        return false;
    }
    /* simavr's receiver takes a byte's time itself: hand it over when its start bit comes */
    *due = l->items[l->head].at - BYTE_CYCLES;
    if (*due > e->avr->cycle) {
        return false;
    }
    if (e->xoff) {
        *due = e->avr->cycle + BYTE_CYCLES;
        return false;
    }
    mend_pace(e);
    e->late_reads += unread(e) >= 3u ? 1u : 0u;
    avr_raise_irq(avr_io_getirq(e->avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), line_take(l).byte);
    return true;
}

void connect_uart(emu_t *e) {
    avr_t *avr = e->avr;
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_uart_out, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_xon, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_xoff, e);
    find_uart(e);
    uint32_t flags = 0; /* neither print what is sent nor sleep for real */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
}

/* --- for the host */

uint32_t emu_receive(emu_t *e, const uint8_t *data, uint32_t size, uint64_t last_bit) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < size; i++) {
        uint64_t back = (uint64_t)BYTE_CYCLES * (size - 1u - i);
        uint64_t at = last_bit > back + BYTE_CYCLES ? last_bit - back : BYTE_CYCLES;
        n += line_put(&e->to_board, at, data[i]) ? 1u : 0u;
    }
    return n;
}

uint64_t emu_next_output(const emu_t *e) {
    return e->from_board.count == 0 ? 0 : e->from_board.items[e->from_board.head].at;
}

uint32_t emu_fetch(emu_t *e, uint8_t *out, uint32_t max, uint64_t until) {
    uint32_t n = 0;
    while (n < max && e->from_board.count != 0 && e->from_board.items[e->from_board.head].at <= until) {
        out[n++] = line_take(&e->from_board).byte;
    }
    return n;
}
