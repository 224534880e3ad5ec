"""Face config, buses and their protocols, the safety gate and the control loop."""
