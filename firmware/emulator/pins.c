/* What hangs on the Mega's pins: servo outputs, emergency stop, supply and chip enables, PCA9685 chips on I2C. */
#include "avr_ioport.h"
#include "avr_twi.h"
#include "emulator.h"
#include "sim_io.h"

uint32_t avr_twi_irq_msg(uint8_t msg, uint8_t addr, uint8_t data); /* in the library, not in its header */

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

void on_chip_pulse(void *owner, int chip, int output, uint64_t rise, double width) {
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

void float_pwm_pins(emu_t *e) {
    for (uint32_t i = 0; i < PWM_OUTPUTS; i++) {
        set_pin(e, i, false);
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

void look_at_port_a(emu_t *e) {
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

void drive_estop(emu_t *e) {
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

/* --- all of it */

void connect_pins(emu_t *e) {
    avr_t *avr = e->avr;
    for (uint32_t i = 0; i < PWM_OUTPUTS; i++) {
        e->pwm_irqs[i] = avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(pwm_pins[i].port), pwm_pins[i].bit);
        avr_irq_register_notify(e->pwm_irqs[i], on_pwm_pin, e);
    }
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('A'), IOPORT_IRQ_REG_PORT), on_port_a, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('A'), IOPORT_IRQ_DIRECTION_ALL), on_port_a, e);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT), on_twi, e);
}

/* --- what came out */

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
