// A servo board with two servos on pins and sixteen on a PCA9685. Say how your board is wired, load it, done:
// `animaface doctor` and the face config then treat it like any other servo board.
#include <AnimafaceBoard.h>

AnimafaceBoard board(1); // the board id of the face config

void setup() {
    Serial.begin(1000000);
    Wire.begin();
    Wire.setClock(400000);
    board.attachServo(9);           // channel 0
    board.attachServo(10);          // channel 1
    board.attachPca9685(Wire);      // channels 2 to 17
    board.useEmergencyStop(2);      // normally closed, to ground; leave the line out where there is none
    board.useSupplySwitch(3);
    randomSeed(static_cast<unsigned long>(analogRead(A0)));
    board.begin(Serial, static_cast<uint32_t>(random(1, 2147483647L)));
}

void loop() { board.loop(); }
