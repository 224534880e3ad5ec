// As much of an Arduino core as the compile check needs, where Debian's arduino-core-avr is not installed.
#ifndef CHECK_ARDUINO_H
#define CHECK_ARDUINO_H
#include <stddef.h>
#include <stdint.h>
enum { LOW = 0, HIGH = 1, OUTPUT = 1, INPUT_PULLUP = 2, A0 = 54 };
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
int digitalRead(uint8_t pin);
int analogRead(uint8_t pin);
unsigned long micros();
void randomSeed(unsigned long seed);
long random(long low, long high);
class Stream {
  public:
    virtual ~Stream() {}
    virtual int available() = 0;
    virtual int read() = 0;
    virtual size_t write(const uint8_t *data, size_t size) = 0;
    virtual size_t write(uint8_t byte) = 0;
    void begin(unsigned long baud);
};
extern Stream &Serial;
#endif
