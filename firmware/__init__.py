"""What the package carries of the servo board's firmware: images to flash, and the protocol for people."""
