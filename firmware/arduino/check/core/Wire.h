#ifndef CHECK_WIRE_H
#define CHECK_WIRE_H
#include <Arduino.h>
class TwoWire {
  public:
    void begin();
    void setClock(uint32_t hz);
    void beginTransmission(uint8_t address);
    uint8_t endTransmission();
    size_t write(uint8_t byte);
    size_t write(const uint8_t *data, size_t size);
};
extern TwoWire Wire;
#endif
