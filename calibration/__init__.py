"""The calibration session: babbling, capture, training, inversion, report."""
