// The servo board's core as an Arduino library: for ESP32, Teensy and others that the bare firmware does not know.
//
// What the bare Mega firmware has and this has not: poses kept over a loss of power, a hardware watchdog (call your
// core's own), pulses that end before a pin goes low, I2C that never blocks (Wire waits, some .15 ms an output).
#ifndef ANIMAFACE_BOARD_LIBRARY_H
#define ANIMAFACE_BOARD_LIBRARY_H

#include <Arduino.h>
#include <Servo.h>
#include <Wire.h>

extern "C" {
#include "boards/common/pca9685.h"
#include "core/board.h"
}

class AnimafaceBoard {
  public:
    static const uint8_t MaxServos = 12, MaxChips = 3;

    explicit AnimafaceBoard(uint8_t boardId = 1) : boardId_(boardId) {}

    // Channels count from 0 in the order of these calls: servos first, then 16 for every chip. Before begin().
    bool attachServo(uint8_t pin);
    bool attachPca9685(TwoWire &wire, uint8_t address = PCA9685_ADDRESS);
    // Normally closed contact to ground (the pin is pulled up); high level switches the servo supply on.
    void useEmergencyStop(uint8_t pin) { estopPin_ = pin; }
    void useSupplySwitch(uint8_t pin);

    // `bootId` should differ from start to start: a random or counted number.
    void begin(Stream &line, uint32_t bootId);
    // Call it as often as possible, every few milliseconds at least.
    void loop();

  private:
    static const uint8_t NoPin = 255;
    struct Chip {
        TwoWire *wire;
        uint8_t address, prescale;
        uint16_t rateHz, oscillator;
        uint32_t ticksPerUs;
        uint16_t written[PCA9685_OUTPUTS];
    };

    void setRate(Chip &chip, uint8_t first);
    void putChip(Chip &chip, uint8_t first);
    void putServo(uint8_t i);
    static bool writeRegister(Chip &chip, uint8_t number, uint8_t value);

    uint8_t boardId_, estopPin_ = NoPin, supplyPin_ = NoPin, nServos_ = 0, nChips_ = 0, servoPins_[MaxServos] = {};
    Servo servos_[MaxServos];
    uint16_t servoPulses_[MaxServos] = {};
    Chip chips_[MaxChips] = {};
    Stream *line_ = nullptr;
    uint32_t put_ = 0;
    board_t board_ = {};
};

#endif
