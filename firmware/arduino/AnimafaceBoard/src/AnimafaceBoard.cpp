#include "AnimafaceBoard.h"

#include <string.h>

bool AnimafaceBoard::attachServo(uint8_t pin) {
    if (nServos_ == MaxServos || nChips_ != 0) {
        return false;
    }
    servoPins_[nServos_++] = pin;
    return true;
}

bool AnimafaceBoard::attachPca9685(TwoWire &wire, uint8_t address) {
    if (nChips_ == MaxChips) {
        return false;
    }
    chips_[nChips_].wire = &wire;
    chips_[nChips_++].address = address;
    return true;
}

void AnimafaceBoard::useSupplySwitch(uint8_t pin) {
    supplyPin_ = pin;
    pinMode(pin, OUTPUT);
    digitalWrite(pin, LOW);
}

void AnimafaceBoard::begin(Stream &line, uint32_t bootId) {
    line_ = &line;
    if (estopPin_ != NoPin) {
        pinMode(estopPin_, INPUT_PULLUP);
    }
    for (uint8_t i = 0; i < nServos_; i++) {
        pinMode(servoPins_[i], OUTPUT);
        digitalWrite(servoPins_[i], LOW);
    }
    uint8_t channels = static_cast<uint8_t>(nServos_ + nChips_ * PCA9685_OUTPUTS);
    board_init(&board_, BOARD_KIND_ARDUINO, boardId_, channels, bootId, BOARD_RESET_UNKNOWN);
}

void AnimafaceBoard::loop() {
    uint8_t buffer[32];
    board_tick(&board_, micros());
    for (int n = line_->available(); n > 0; n--) {
        board_rx(&board_, static_cast<uint8_t>(line_->read()));
    }
    for (uint16_t n; (n = board_tx(&board_, buffer, sizeof buffer)) != 0;) {
        line_->write(buffer, n);
    }
    if (estopPin_ != NoPin) {
        board_input_estop(&board_, digitalRead(estopPin_) == HIGH);
    }
    if (supplyPin_ != NoPin) {
        digitalWrite(supplyPin_, board_supply_on(&board_) ? HIGH : LOW);
    }
    if (micros() - put_ < BOARD_STEP_US) {
        return;
    }
    put_ = micros();
    for (uint8_t i = 0; i < nServos_; i++) {
        putServo(i);
    }
    for (uint8_t i = 0; i < nChips_; i++) {
        uint8_t first = static_cast<uint8_t>(nServos_ + i * PCA9685_OUTPUTS);
        setRate(chips_[i], first);
        putChip(chips_[i], first);
    }
}

void AnimafaceBoard::putServo(uint8_t i) {
    uint16_t pulse = board_pulse_us(&board_, i);
    if (pulse == servoPulses_[i]) {
        return;
    }
    if (pulse == 0) {
        servos_[i].detach();
        digitalWrite(servoPins_[i], LOW);
    } else {
        servos_[i].writeMicroseconds(static_cast<int>(pulse)); // before attach: the first pulse is the right one
        if (servoPulses_[i] == 0) {
            servos_[i].attach(servoPins_[i], static_cast<int>(BOARD_PULSE_MIN_US), static_cast<int>(BOARD_PULSE_MAX_US));
            servos_[i].writeMicroseconds(static_cast<int>(pulse));
        }
    }
    servoPulses_[i] = pulse;
}

bool AnimafaceBoard::writeRegister(Chip &chip, uint8_t number, uint8_t value) {
    chip.wire->beginTransmission(chip.address);
    chip.wire->write(number);
    chip.wire->write(value);
    return chip.wire->endTransmission() == 0;
}

void AnimafaceBoard::setRate(Chip &chip, uint8_t first) {
    uint16_t hz = 0, oscillator = BOARD_OSCILLATOR_NOMINAL;
    for (uint8_t i = first; i < first + PCA9685_OUTPUTS; i++) {
        const board_channel_t &c = board_.channels[i];
        if ((c.flags & BOARD_CH_CONFIGURED) && (hz == 0 || c.config.frame_hz < hz)) {
            hz = c.config.frame_hz;
        }
    }
    hz = hz == 0 ? 50 : hz;
    if (first < nServos_ + 3 * PCA9685_OUTPUTS) {
        oscillator = board_.setup[BOARD_SETUP_OSCILLATOR + (first - nServos_) / PCA9685_OUTPUTS];
    }
    if (hz == chip.rateHz && oscillator == chip.oscillator) {
        return;
    }
    chip.prescale = pca9685_prescale(hz, oscillator);
    chip.ticksPerUs = pca9685_ticks_per_us_q16(chip.prescale, oscillator);
    memset(chip.written, 0xFF, sizeof chip.written);
    bool ok = writeRegister(chip, PCA9685_MODE1, PCA9685_MODE1_AI | PCA9685_MODE1_SLEEP) &&
              writeRegister(chip, PCA9685_MODE2, PCA9685_MODE2_OUTDRV) &&
              writeRegister(chip, PCA9685_PRESCALE, chip.prescale) &&
              writeRegister(chip, PCA9685_MODE1, PCA9685_MODE1_AI);
    chip.rateHz = ok ? hz : 0; // 0: try again
    chip.oscillator = oscillator;
}

void AnimafaceBoard::putChip(Chip &chip, uint8_t first) {
    if (chip.rateHz == 0) {
        board_output_lost(&board_, first, PCA9685_OUTPUTS);
        return;
    }
    for (uint8_t i = 0; i < PCA9685_OUTPUTS; i++) {
        const board_channel_config_t &c = board_.channels[first + i].config;
        uint16_t pulse = board_pulse_us(&board_, static_cast<uint8_t>(first + i));
        uint16_t ticks = pulse == 0 ? 0 : pca9685_ticks(pulse, c.low_us, c.high_us, chip.ticksPerUs);
        if (ticks == chip.written[i]) {
            continue;
        }
        uint8_t registers[4];
        pca9685_registers(registers, ticks);
        chip.wire->beginTransmission(chip.address);
        chip.wire->write(static_cast<uint8_t>(PCA9685_LED0 + 4 * i));
        chip.wire->write(registers, 4);
        if (chip.wire->endTransmission() != 0) {
            chip.rateHz = 0;
            return;
        }
        chip.written[i] = ticks;
    }
}
