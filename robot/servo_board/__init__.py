"""The servo board of firmware/PROTOCOL.md, as seen from the host: frames, line, bus."""
