"""A face that speaks while the sound is coming in: sources, clocks, the streaming way to the motors."""
