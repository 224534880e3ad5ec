// The Pico's image on rp2040js: second stage, greeting, pulses, emergency stop. By hand, not part of the test suite:
//   mkdir /tmp/pico && cd /tmp/pico && npm install rp2040js
//   node <checkout>/firmware/emulator/rp2040_check.mjs <checkout>/firmware/build/rp2040.uf2
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.cwd(), 'x.js'));
const { Simulator } = require('rp2040js');
const FLASH = 0x10000000, RAM = 0x20000000, STAGE = 0x41f00, ESTOP = 20, SUPPLY = 21, FIRST = 2;

const simulator = new Simulator();
const mcu = simulator.rp2040;
mcu.logger = { debug() {}, info() {}, warn() {}, error() {} };

// A boot ROM of three instructions: every function looked up does nothing, so poses are not kept here.
const rom = new Uint32Array(64);
rom[0x18 / 4] = 0x41; // look-up
rom[0x40 / 4] = 0x47704800; // ldr r0, [pc]; bx lr
rom[0x44 / 4] = 0x51;
rom[0x50 / 4] = 0x47704770; // bx lr
mcu.loadBootrom(rom);

const uf2 = fs.readFileSync(process.argv[2]);
for (let at = 0; at < uf2.length; at += 512) {
  mcu.flash.set(uf2.subarray(at + 32, at + 288), uf2.readUInt32LE(at + 12) - FLASH);
}
mcu.sram.set(mcu.flash.subarray(0, 256), STAGE); // as the real boot ROM does
mcu.core.PC = RAM + STAGE;
mcu.core.SP = RAM + STAGE;

const nowUs = () => simulator.clock.nanos / 1000;
function run(us) {
  const end = nowUs() + us;
  while (nowUs() < end) {
    simulator.clock.tick(mcu.core.waiting ? simulator.clock.nanosToNextAlarm : mcu.core.executeInstruction() * 8);
  }
}

const rises = {}, widths = {};
for (let pin = FIRST; pin < FIRST + 16; pin++) {
  widths[pin] = [];
  mcu.gpio[pin].addListener((state) => {
    if (state === 1) {
      rises[pin] = nowUs();
    } else if (rises[pin] !== undefined) {
      widths[pin].push(nowUs() - rises[pin]);
      delete rises[pin];
    }
  });
}

function crc16(data) {
  let crc = 0xffff;
  for (const byte of data) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) {
      crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
  }
  return crc;
}
function encode(data) {
  const out = [0];
  let at = 0, code = 1;
  for (const byte of data) {
    if (byte) {
      out.push(byte);
      code++;
    } else {
      out[at] = code;
      at = out.length;
      out.push(0);
      code = 1;
    }
  }
  out[at] = code;
  return [...out, 0];
}
function decode(data) {
  const out = [];
  for (let i = 0; i < data.length - 1; ) {
    const code = data[i++];
    for (let k = 1; k < code; k++) out.push(data[i++]);
    if (i < data.length - 1) out.push(0);
  }
  return out.slice(2, -2);
}
let heard = [], sequence = 0;
mcu.uart[0].onByte = (byte) => heard.push(byte);
const u16 = (...values) => values.flatMap((v) => [v & 255, v >> 8]);
function ask(type, payload) {
  const body = [type, ++sequence, ...payload], crc = crc16(body);
  heard = [];
  for (const byte of encode([...body, crc & 255, crc >> 8])) {
    mcu.uart[0].feedByte(byte);
    run(10);
  }
  run(2000);
  return decode(heard);
}
const near = (pin, us) => assert.ok(Math.abs(widths[pin].at(-1) - us) <= 0.6, `GPIO ${pin}: ${widths[pin].at(-1)} us`);

mcu.gpio[ESTOP].setInputValue(false);
run(30000);
assert.equal(mcu.uart[0].baudRate, 1000000);
const hello = ask(1, [0x41, 0x46, 1, 0]);
assert.deepEqual([hello[0], hello[1], hello[5], hello[7]], [0, 1, 2, 16]);
for (let c = 0; c < 16; c++) {
  assert.equal(ask(2, [c, 2, ...u16(1000, 2000, 1500, 1500, 4000, 0, 500, c < 2 ? 333 : 50), 255, 0])[0], 0);
}
assert.equal(ask(4, u16(500))[0], 0);
assert.equal(ask(6, [255, ...u16(4)])[0], 0);
for (let k = 0; k < 15; k++) {
  assert.equal(ask(7, [...u16(500), 0, ...u16(1700), 5, ...u16(1200), 15, ...u16(1999)])[0], 0);
  run(20000);
}
for (const [channel, us] of [[0, 1700], [1, 1500], [5, 1200], [15, 1999]]) near(FIRST + channel, us);
assert.ok(widths[FIRST].length > 5 * widths[FIRST + 4].length, 'channel 0 at 333 Hz, channel 4 at 50 Hz');
assert.equal(mcu.gpio[SUPPLY].value, 1);
mcu.gpio[ESTOP].setInputValue(true);
run(30000);
for (const pin in widths) widths[pin].length = 0;
run(100000);
assert.deepEqual(ask(8, [0, 1]).slice(1, 3), [2, 3]);
assert.equal(mcu.gpio[SUPPLY].value, 0);
assert.ok(Object.values(widths).every((list) => list.length === 0), 'no pulse after an emergency stop');
console.log('rp2040: boots, greets, 16 pulses exact, frames by pair, emergency stop and supply as they should be');
