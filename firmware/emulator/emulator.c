/* The Mega board's binary on simavr, with what hangs on its pins, for Python's ctypes.
 *
 * Time is the CPU's cycle counter and moves only in emu_run: the same calls give the same bytes, pulses and
 * cycles. simavr is GPL software; this file is only built and loaded for tests and simulation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "avr_adc.h"
#include "avr_eeprom.h"
#include "avr_ioport.h"
#include "avr_twi.h"
#include "avr_uart.h"
#include "pca9685_model.h"
#include "sim_avr.h"
#include "sim_io.h"

#define CPU_HZ 16000000u
#define BYTE_CYCLES 160u /* 10 bits at 1 Mbaud */
#define CHIPS 3
#define PWM_OUTPUTS 12
#define CHANNELS (PWM_OUTPUTS + CHIPS * MODEL_OUTPUTS)
#define LINE_SIZE 65536u /* bytes under way, each direction; a power of two */
#define PULSES_SIZE 65536u

uint32_t avr_twi_irq_msg(uint8_t msg, uint8_t addr, uint8_t data); /* in the library, not in its header */

typedef struct {
    uint64_t at;
    uint8_t byte;
} timed_byte_t;

typedef struct {
    timed_byte_t items[LINE_SIZE];
    uint32_t head, count;
} line_t;

typedef struct {
    uint64_t rise;
    uint32_t width; /* cycles */
    uint32_t channel;
} pulse_t;

typedef struct emu {
    avr_t *avr;
    line_t to_board, from_board;
    avr_uart_t *uart;
    uint32_t late_reads; /* bytes that came while two already waited: an overrun on the chip itself */
    uint64_t line_free; /* when the byte being sent by the board is out */
    bool xoff;
    pca_model_t chips[CHIPS];
    int chip_addressed;
    avr_irq_t *pwm_irqs[PWM_OUTPUTS];
    uint64_t high_since[PWM_OUTPUTS]; /* 0: low */
    bool estop_open, supply;
    uint64_t supply_changed;
    double width[CHANNELS];           /* newest pulse, cycles */
    uint64_t seen[CHANNELS];          /* its end */
    pulse_t pulses[PULSES_SIZE];
    uint32_t pulse_head, pulse_count, pulses_lost;
    uint32_t resets, lost_bytes;
    void (*core_reset)(struct avr_t *avr);
} emu_t;

/* --- pulses */

static void add_pulse(emu_t *e, uint32_t channel, uint64_t rise, double width) {
    if (e->pulse_count == PULSES_SIZE) {
        e->pulse_head = (e->pulse_head + 1) % PULSES_SIZE;
        e->pulse_count--;
        e->pulses_lost++;
    }
    e->pulses[(e->pulse_head + e->pulse_count++) % PULSES_SIZE] = (pulse_t){rise, (uint32_t)(width + 0.5), channel};
    e->width[channel] = width;
    e->seen[channel] = rise + (uint64_t)width;
}

static void on_chip_pulse(void *owner, int chip, int output, uint64_t rise, double width) {
    add_pulse(owner, (uint32_t)(PWM_OUTPUTS + chip * MODEL_OUTPUTS + output), rise, width);
}

typedef struct {
    char port;
    int bit;
} pin_t;
static const pin_t pwm_pins[PWM_OUTPUTS] = {
    {'B', 5}, {'B', 6}, {'B', 7}, {'E', 3}, {'E', 4}, {'E', 5},
    {'H', 3}, {'H', 4}, {'H', 5}, {'L', 3}, {'L', 4}, {'L', 5},
};
static void set_pin(emu_t *e, uint32_t channel, bool high) {
    uint64_t *since = &e->high_since[channel];
    if (high && *since == 0) {
        *since = e->avr->cycle;
    } else if (!high && *since != 0) {
        add_pulse(e, channel, *since, (double)(e->avr->cycle - *since));
        *since = 0;
    }
}

static void on_pwm_pin(avr_irq_t *irq, uint32_t value, void *param) {
    emu_t *e = param;
    for (uint32_t i = 0; i < PWM_OUTPUTS; i++) {
        if (irq == e->pwm_irqs[i]) {
            set_pin(e, i, (value & 1) != 0);
        }
    }
}

/* --- port A: emergency stop in, supply and output enables out */

enum { PORTA_PIN = 0x20, PORTA_DDR = 0x21, PORTA_OUT = 0x22, ESTOP_BIT = 0, SUPPLY_BIT = 1, CHIP_OFF_BIT = 2 };

static void look_at_port_a(emu_t *e) {
    uint8_t ddr = e->avr->data[PORTA_DDR], out = e->avr->data[PORTA_OUT];
    bool supply = (ddr >> SUPPLY_BIT & out >> SUPPLY_BIT & 1) != 0; /* pulled down where it floats */
    if (supply != e->supply) {
        e->supply = supply;
        e->supply_changed = e->avr->cycle;
    }
    for (int i = 0; i < CHIPS; i++) {
        /* pulled up where it floats */
        bool off = !(ddr >> (CHIP_OFF_BIT + i) & 1) || (out >> (CHIP_OFF_BIT + i) & 1);
        if (off != e->chips[i].cut) {
            model_run(&e->chips[i], e->avr->cycle);
            model_cut(&e->chips[i], off, e->avr->cycle);
        }
    }
}

static void on_port_a(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    (void)value;
    look_at_port_a(param);
}

static void drive_estop(emu_t *e) {
    /* A closed contact beats the pull-up; an open one leaves the pin to it. */
    avr_ioport_external_t x = {.name = 'A', .mask = 1u << ESTOP_BIT, .value = e->estop_open ? 1u << ESTOP_BIT : 0u};
    avr_ioctl(e->avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('A'), &x);
    avr_raise_irq(avr_io_getirq(e->avr, AVR_IOCTL_IOPORT_GETIRQ('A'), ESTOP_BIT), e->estop_open ? 1 : 0);
}

/* --- I2C */

static void answer(emu_t *e, uint8_t kind, uint8_t address, uint8_t data) {
    avr_irq_t *in = avr_io_getirq(e->avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_INPUT);
    avr_raise_irq(in, avr_twi_irq_msg(kind, address, data));
}

static void on_twi(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    emu_t *e = param;
    avr_twi_msg_irq_t m;
    m.u.v = value;
    uint8_t what = m.u.twi.msg, address = m.u.twi.addr;
    if (what & TWI_COND_STOP) {
        if (e->chip_addressed >= 0) {
            model_run(&e->chips[e->chip_addressed], e->avr->cycle);
            model_stop(&e->chips[e->chip_addressed]);
        }
        e->chip_addressed = -1;
    }
    if (what & TWI_COND_START) {
        int chip = (address >> 1) - 0x40;
        e->chip_addressed = chip >= 0 && chip < CHIPS && !e->chips[chip].absent ? chip : -1;
        if (e->chip_addressed >= 0) {
            if (!(address & 1)) {
                model_start(&e->chips[chip]);
            }
            answer(e, TWI_COND_ACK, address, 1);
        }
        return;
    }
    if (e->chip_addressed < 0) {
        return;
    }
    pca_model_t *chip = &e->chips[e->chip_addressed];
    model_run(chip, e->avr->cycle);
    if (what & TWI_COND_WRITE) {
        model_write(chip, m.u.twi.data, e->avr->cycle);
        answer(e, TWI_COND_ACK, address, 1);
    } else if (what & TWI_COND_READ) {
        answer(e, TWI_COND_READ, address, model_read(chip));
    }
}

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

/* --- life */

static emu_t *under_reset; /* simavr's reset hook carries no parameter; emu_run is not reentered */

static void on_reset(avr_t *avr) {
    emu_t *e = under_reset;
    if (e == NULL) {
        return;
    }
    if (e->core_reset != NULL) {
        e->core_reset(avr);
    }
    e->resets++;
    e->xoff = false;
    for (uint32_t i = 0; i < PWM_OUTPUTS; i++) {
        set_pin(e, i, false); /* the pins float: no pulse */
    }
}

static void no_sleep(avr_t *avr, avr_cycle_count_t cycles) {
    (void)avr;
    (void)cycles; /* virtual time: nobody waits */
}

static void no_log(avr_t *avr, const int level, const char *format, va_list ap) {
    (void)avr;
    (void)level;
    (void)format;
    (void)ap;
}

static avr_cycle_count_t stop_here(avr_t *avr, avr_cycle_count_t when, void *param) {
    (void)avr;
    (void)when;
    (void)param;
    return 0;
}

static void connect_pins(emu_t *e) {
    avr_t *avr = e->avr;
    for (uint32_t i = 0; i < PWM_OUTPUTS; i++) {
        e->pwm_irqs[i] = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(pwm_pins[i].port), pwm_pins[i].bit);
        avr_irq_register_notify(e->pwm_irqs[i], on_pwm_pin, e);
    }
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('A'), IOPORT_IRQ_REG_PORT), on_port_a, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('A'), IOPORT_IRQ_DIRECTION_ALL), on_port_a, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT), on_twi, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_uart_out, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_xon, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_xoff, e);
    find_uart(e);
    uint32_t flags = 0; /* neither print what is sent nor sleep for real */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
}

emu_t *emu_new(const uint8_t *flash, uint32_t size, const uint8_t *eeprom, uint32_t eeprom_size, uint32_t chips);
void emu_free(emu_t *e);
void emu_run(emu_t *e, uint64_t to_cycle);
uint64_t emu_cycle(const emu_t *e);
int emu_state(const emu_t *e);
uint32_t emu_receive(emu_t *e, const uint8_t *data, uint32_t size, uint64_t last_bit);
uint64_t emu_next_output(const emu_t *e);
uint32_t emu_fetch(emu_t *e, uint8_t *out, uint32_t max, uint64_t until);
void emu_estop(emu_t *e, int open);
int emu_supply(const emu_t *e, uint64_t *changed);
void emu_analogue(emu_t *e, uint32_t input, uint32_t millivolts);
void emu_chip(emu_t *e, uint32_t chip, int present, double oscillator_hz);
void emu_chip_sag(emu_t *e, uint32_t chip);
uint8_t emu_chip_register(const emu_t *e, uint32_t chip, uint8_t number);
int emu_hang(emu_t *e);
uint32_t emu_pc(const emu_t *e);

void emu_reset(emu_t *e);
uint32_t emu_resets(const emu_t *e);
uint32_t emu_late_reads(const emu_t *e);
void emu_eeprom(emu_t *e, uint8_t *out, uint32_t size);
void emu_widths(emu_t *e, double *width_us, uint64_t *seen);
uint32_t emu_pulses(emu_t *e, pulse_t *out, uint32_t max);

emu_t *emu_new(const uint8_t *flash, uint32_t size, const uint8_t *eeprom, uint32_t eeprom_size, uint32_t chips) {
    emu_t *e = calloc(1, sizeof *e);
    avr_global_logger_set(no_log);
    e->avr = avr_make_mcu_by_name("atmega2560");
    if (e->avr == NULL || size > 262144u) {
        free(e);
        return NULL;
    }
    under_reset = NULL;
    avr_init(e->avr);
    e->avr->frequency = CPU_HZ;
    e->avr->vcc = e->avr->avcc = e->avr->aref = 5000;
    e->avr->log = 0;
    e->avr->sleep = no_sleep;
    memcpy(e->avr->flash, flash, size);
    e->avr->codeend = e->avr->flashend;
    if (eeprom != NULL) {
        avr_eeprom_desc_t d = {(uint8_t *)eeprom, 0, eeprom_size};
        avr_ioctl(e->avr, AVR_IOCTL_EEPROM_SET, &d);
    }
    for (int i = 0; i < CHIPS; i++) {
        e->chips[i] = (pca_model_t){.oscillator_hz = 25e6, .pulse = on_chip_pulse, .owner = e, .chip = i,
                                    .cut = true, .absent = !(chips >> i & 1u)};
        model_power_on(&e->chips[i]);
    }
    e->chip_addressed = -1;
    connect_pins(e);
    drive_estop(e);
    e->core_reset = e->avr->reset;
    e->avr->reset = on_reset;
    return e;
}

void emu_free(emu_t *e) {
    avr_terminate(e->avr);
    free(e);
}

static bool has_crashed(const emu_t *e) { return e->avr->state == cpu_Crashed || e->avr->state == cpu_Done; }

static void run_cpu(emu_t *e, uint64_t to_cycle) {
    avr_t *avr = e->avr;
    while (avr->cycle < to_cycle && !has_crashed(e)) {
        avr_cycle_timer_cancel(avr, stop_here, e);
        avr_cycle_timer_register(avr, to_cycle - avr->cycle, stop_here, e);
        uint32_t resets = e->resets;
        do {
            avr_run(avr);
        } while (avr->cycle < to_cycle && e->resets == resets && !has_crashed(e));
        if (e->resets != resets) {
            look_at_port_a(e);
            drive_estop(e);
        }
    }
}

void emu_run(emu_t *e, uint64_t to_cycle) {
    under_reset = e;
    while (e->avr->cycle < to_cycle && !has_crashed(e)) {
        uint64_t until = to_cycle;
        line_t *l = &e->to_board;
        if (l->count != 0) {
            /* simavr's receiver takes a byte's time itself: hand it over when its start bit comes */
            uint64_t due = l->items[l->head].at - BYTE_CYCLES;
            if (due <= e->avr->cycle) {
                if (!e->xoff) {
                    mend_pace(e);
                    e->late_reads += unread(e) >= 3u ? 1u : 0u;
                    avr_raise_irq(avr_io_getirq(e->avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), line_take(l).byte);
                    continue;
                }
                due = e->avr->cycle + BYTE_CYCLES;
            }
            until = due < to_cycle ? due : to_cycle;
        }
        run_cpu(e, until);
    }
    for (int i = 0; i < CHIPS; i++) {
        model_run(&e->chips[i], e->avr->cycle);
    }
    under_reset = NULL;
}

uint64_t emu_cycle(const emu_t *e) { return e->avr->cycle; }

int emu_state(const emu_t *e) { return e->avr->state; }

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

/* --- what a test does to the board */

void emu_estop(emu_t *e, int open) {
    e->estop_open = open != 0;
    drive_estop(e);
}

int emu_supply(const emu_t *e, uint64_t *changed) {
    *changed = e->supply_changed;
    return e->supply;
}

void emu_analogue(emu_t *e, uint32_t input, uint32_t millivolts) {
    avr_raise_irq(avr_io_getirq(e->avr, AVR_IOCTL_ADC_GETIRQ, (int)(ADC_IRQ_ADC0 + input)), millivolts);
}

void emu_chip(emu_t *e, uint32_t chip, int present, double oscillator_hz) {
    pca_model_t *m = &e->chips[chip];
    model_run(m, e->avr->cycle);
    if (!present && !m->absent) {
        model_cut(m, true, e->avr->cycle);
        model_power_on(m);
    }
    m->absent = !present;
    m->oscillator_hz = oscillator_hz;
}

void emu_chip_sag(emu_t *e, uint32_t chip) { model_power_on(&e->chips[chip]); }

uint8_t emu_chip_register(const emu_t *e, uint32_t chip, uint8_t number) { return e->chips[chip].registers[number]; }

uint32_t emu_pc(const emu_t *e) { return e->avr->state == cpu_Sleeping ? 0xFFFFFFFFu : e->avr->pc; }

int emu_hang(emu_t *e) {
    for (uint32_t i = 0; i + 1 < e->avr->flashend; i += 2) {
        if (e->avr->flash[i] == 0xFF && e->avr->flash[i + 1] == 0xCF) { /* rjmp to itself */
            e->avr->pc = i;
            return 1;
        }
    }
    return 0;
}

void emu_reset(emu_t *e) {
    under_reset = e;
    avr_reset(e->avr);
    e->avr->data[0x54] = 0x02; /* MCUSR: external reset */
    look_at_port_a(e);
    drive_estop(e);
    under_reset = NULL;
}

uint32_t emu_resets(const emu_t *e) { return e->resets; }

uint32_t emu_late_reads(const emu_t *e) { return e->late_reads; }

void emu_eeprom(emu_t *e, uint8_t *out, uint32_t size) {
    avr_eeprom_desc_t d = {NULL, 0, size};
    avr_ioctl(e->avr, AVR_IOCTL_EEPROM_GET, &d);
    if (d.ee != NULL) {
        memcpy(out, d.ee, size);
    }
}

void emu_widths(emu_t *e, double *width_us, uint64_t *seen) {
    for (int i = 0; i < CHANNELS; i++) {
        width_us[i] = e->width[i] * 1e6 / CPU_HZ;
        seen[i] = e->seen[i];
    }
}

uint32_t emu_pulses(emu_t *e, pulse_t *out, uint32_t max) {
    uint32_t n = 0;
    while (n < max && e->pulse_count != 0) {
        out[n++] = e->pulses[e->pulse_head];
        e->pulse_head = (e->pulse_head + 1) % PULSES_SIZE;
        e->pulse_count--;
    }
    return n;
}
