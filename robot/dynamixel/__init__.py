"""Dynamixel X servos by Protocol 2.0: register table, the mended SDK, the line, the bus."""
