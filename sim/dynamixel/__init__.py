"""Virtual Dynamixel servos: Protocol 2.0 with a codec of its own, control tables, timing of the replies."""
