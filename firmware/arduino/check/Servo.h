// As much of Arduino's Servo library as the compile check needs.
#ifndef CHECK_SERVO_H
#define CHECK_SERVO_H
#include <stdint.h>
class Servo {
  public:
    uint8_t attach(int pin, int min, int max);
    void detach();
    void writeMicroseconds(int value);
};
#endif
