// The Pico's image on rp2040js: second stage, greeting, pulses, emergency stop, memory of poses, watchdog. By hand:
//   mkdir /tmp/pico && cd /tmp/pico && npm install rp2040js
//   node <checkout>/firmware/emulator/rp2040_check.mjs <checkout>/firmware/prebuilt/rp2040.uf2
import assert from 'node:assert/strict';
import { crc16, ESTOP, FIRST, flashed, FLASH_SIZE, PAGE, Pico, SECTOR, SUPPLY, u16 } from './pico.mjs';

const AREA = FLASH_SIZE - 2 * SECTOR, PAGES = (2 * SECTOR) / PAGE, RECORD = 4 + 18 + 32;
const HELLO = [0x41, 0x46, 1, 0], WATCHDOG = 4;
const flash = flashed(process.argv[2]);

function near(pico, channel, us) {
  const width = pico.widths[FIRST + channel].at(-1);
  assert.ok(Math.abs(width - us) <= 0.6, `channel ${channel}: ${width} us, not ${us}`);
}
function bringUp(pico) {
  pico.run(30000);
  const hello = pico.ask(1, HELLO);
  assert.deepEqual([hello[0], hello[1], hello[5], hello[7]], [0, 1, 2, 16]);
  for (let c = 0; c < 16; c++) {
    assert.equal(pico.ask(2, [c, 2, ...u16(1000, 2000, 1500, 1500, 4000, 0, 500, c < 2 ? 333 : 50), 255, 0])[0], 0);
  }
  assert.equal(pico.ask(4, u16(500))[0], 0);
  assert.equal(pico.ask(6, [255, ...u16(4)])[0], 0);
  return hello;
}
function keep(pico, times, ...goals) {
  for (let k = 0; k < times; k++) {
    assert.equal(pico.ask(7, [...u16(500), ...goals])[0], 0);
    pico.run(20000);
  }
}

// pulses and emergency stop
let pico = new Pico(flash);
bringUp(pico);
assert.equal(pico.mcu.uart[0].baudRate, 1000000);
keep(pico, 15, 0, ...u16(1700), 5, ...u16(1200), 15, ...u16(1999));
for (const [channel, us] of [[0, 1700], [1, 1500], [5, 1200], [15, 1999]]) near(pico, channel, us);
assert.ok(pico.widths[FIRST].length > 5 * pico.widths[FIRST + 4].length, 'channel 0 at 333 Hz, channel 4 at 50 Hz');
assert.equal(pico.mcu.gpio[SUPPLY].value, 1);
pico.mcu.gpio[ESTOP].setInputValue(true);
pico.run(30000);
for (const pin in pico.widths) pico.widths[pin].length = 0;
pico.run(100000);
assert.deepEqual(pico.ask(8, [0, 1]).slice(1, 3), [2, 3]);
assert.equal(pico.mcu.gpio[SUPPLY].value, 0);
assert.ok(Object.values(pico.widths).every((list) => list.length === 0), 'no pulse after an emergency stop');

// a second after everything is off the poses are written, once, into the first page
assert.deepEqual(pico.flashLog, []);
pico.run(1200000);
assert.deepEqual(pico.flashLog, [['program', AREA, PAGE]]);
assert.equal(pico.triggered, null, 'the watchdog is fed');

// power off and on: every channel comes on where it was
pico = new Pico(flash);
bringUp(pico);
keep(pico, 6);
for (const [channel, us] of [[0, 1700], [1, 1500], [5, 1200], [15, 1999]]) near(pico, channel, us);

// a main loop that stands still is reset, and the next start says so
let from = pico.nowUs();
pico.hang();
pico.run(300000);
const bitten = (pico.triggered - from) / 1000;
assert.ok(bitten > 200 && bitten < 255, `the watchdog bit after ${bitten} ms`);
pico = new Pico(flash, { byWatchdog: true });
assert.equal(bringUp(pico)[12], WATCHDOG);
keep(pico, 6);
near(pico, 0, 1700);

// full memory: before the first pulse, while everything is off, the sector without the newest record is erased; the
// watchdog is fed through its .4 s
const page = flash.slice(AREA, AREA + PAGE);
for (let i = 0; i < PAGES; i++) {
  page.set([i + 1, 0, 0, 0], 0);
  page.set(u16(crc16(page.subarray(0, RECORD))), RECORD);
  flash.set(page, AREA + i * PAGE);
}
pico = new Pico(flash);
bringUp(pico);
keep(pico, 10, 0, ...u16(1234));
assert.deepEqual(pico.flashLog, [['erase', AREA, SECTOR]]);
assert.equal(pico.ask(10, [255])[0], 0);
pico.run(1700000);
assert.deepEqual(pico.flashLog, [['erase', AREA, SECTOR], ['program', AREA, PAGE]]);
assert.equal(pico.triggered, null, 'the watchdog was told that erasing takes time');
pico = new Pico(flash);
bringUp(pico);
keep(pico, 6);
near(pico, 0, 1234);

console.log('rp2040: boots, greets, 16 pulses exact, frames by pair, emergency stop and supply as they should be;');
console.log(`poses kept over power-off, a full memory erased in turn; the watchdog bit ${bitten.toFixed(1)} ms after a hang`);
