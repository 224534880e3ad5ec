"""A control table in memory: reading and writing bytes, item by item, and the indirect addresses."""

from typing import Final

from animaface.sim.dynamixel.tables import BAUD_RATES, Item, Model

OK, RESULT_FAIL, BAD_INSTRUCTION, BAD_CRC, DATA_RANGE, DATA_LENGTH, DATA_LIMIT, ACCESS = range(8)
"""Error codes of a status packet."""
ALERT: Final = 0x80
"""Set beside the error while Hardware Error Status(70) is not zero."""


class ControlTable:
    """Bytes of a servo of `model`. What a value means is the servo's business: `write_item`, `refresh`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.memory = bytearray(model.size)

    def write_item(self, item: Item, value: int) -> int:
        """Take a value from the host, already of the right length; returns the error code."""
        raise NotImplementedError

    def refresh(self, now_s: float) -> None:
        """Bring the items that tell the present up to date."""
        raise NotImplementedError

    def value(self, address: int) -> int:
        """Number at an item's address."""
        item = self.model.items[address]
        return item.unpack(self.memory[address : address + item.size])

    def put(self, address: int, value: int) -> None:
        """Set an item, whatever a host may do with it."""
        item = self.model.items[address]
        self.memory[address : address + item.size] = item.pack(value)

    @property
    def device(self) -> int:
        """Id on the bus."""
        return self.memory[7]

    @property
    def baud(self) -> int:
        """Speed it listens at."""
        return BAUD_RATES[self.memory[8]]

    @property
    def return_delay_s(self) -> float:
        """Return Delay Time(9)."""
        return self.memory[9] * 2e-6

    @property
    def status_level(self) -> int:
        """Status Return Level(68): 0 answers only pings, 1 also reads, 2 everything."""
        return self.memory[68]

    @property
    def alert(self) -> int:
        """0x80 while there is a hardware error, else 0."""
        return ALERT if self.memory[70] else 0

    def read(self, address: int, size: int, now_s: float) -> tuple[int, bytes]:
        """(error, data). Gaps between items read as zeros."""
        if size == 0 or address + size > self.model.size:
            return (DATA_LENGTH if size == 0 else ACCESS), b""
        if address < 147 and address + size > 120:
            self.refresh(now_s)
        data = bytes(self.memory[address : address + size])
        for first_address, first_data, n in self.model.indirect:
            if address < first_data + n and address + size > first_data:
                self.refresh(now_s)
                data = self._read_indirect(address, data, first_address, first_data, n)
        return OK, data

    def _read_indirect(self, address: int, data: bytes, first_address: int, first_data: int, n: int) -> bytes:
        out = bytearray(data)
        for k in range(max(address, first_data), min(address + len(data), first_data + n)):
            out[k - address] = self.memory[self.value(first_address + 2 * (k - first_data))]
        return bytes(out)

    def write(self, address: int, data: bytes) -> int:
        """Error of writing `data`; items before the first error stay written."""
        item = self.model.items.get(address)
        if item is not None and item.size == len(data) and not item.indirect_data:
            return self.write_item(item, item.unpack(data))
        if not data:
            return DATA_LENGTH
        at, end = address, address + len(data)
        while at < end:
            item = self.model.items.get(at)
            if item is None:
                return DATA_LENGTH if self._inside_item(at) else ACCESS
            if at + item.size > end:
                return DATA_LENGTH
            if item.indirect_data:
                error, at = self._write_indirect(at, data[at - address :])
            else:
                error = self.write_item(item, item.unpack(data[at - address : at - address + item.size]))
                at += item.size
            if error:
                return error
        return OK

    def _inside_item(self, address: int) -> bool:
        return any(i.address < address < i.address + i.size for i in self.model.items.values())

    def _write_indirect(self, at: int, data: bytes) -> tuple[int, int]:
        """Write the indirect bytes from `at` on; consecutive targets go as one write -> (error, next address)."""
        first_address, first_data, n = next(b for b in self.model.indirect if b[1] <= at < b[1] + b[2])
        count = min(len(data), first_data + n - at)
        targets = [self.value(first_address + 2 * (at - first_data + k)) for k in range(count)]
        k = 0
        while k < count:
            run = 1
            while k + run < count and targets[k + run] == targets[k] + run:
                run += 1
            target = self.model.items.get(targets[k])
            if target is not None and target.indirect_data:  # no chains: a cell that stands for a cell
                self.memory[targets[k] : targets[k] + run] = data[k : k + run]
            elif error := self.write(targets[k], data[k : k + run]):
                return error, at
            k += run
        return OK, at + count
