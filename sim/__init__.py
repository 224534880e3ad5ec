"""The simulated face: MuJoCo body, virtual servos and boards, faults, truth, rendering."""
