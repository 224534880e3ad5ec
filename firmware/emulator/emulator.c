/* The Mega board's binary on simavr, with what hangs on its pins, for Python's ctypes.
 *
 * Time is the CPU's cycle counter and moves only in emu_run: the same calls give the same bytes, pulses and
 * cycles. simavr is GPL software; this file is only built and loaded for tests and simulation.
 */
#include <stdlib.h>
#include <string.h>

#include "avr_adc.h"
#include "avr_eeprom.h"
#include "emulator.h"
#include "sim_io.h"

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
    float_pwm_pins(e);
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
    connect_uart(e);
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
        uint64_t due;
        if (hand_over(e, &due)) {
            continue;
        }
        run_cpu(e, due < to_cycle ? due : to_cycle);
    }
    for (int i = 0; i < CHIPS; i++) {
        model_run(&e->chips[i], e->avr->cycle);
    }
    under_reset = NULL;
}

uint64_t emu_cycle(const emu_t *e) { return e->avr->cycle; }

int emu_state(const emu_t *e) { return e->avr->state; }

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
