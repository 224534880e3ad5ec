"""What a run tells about itself while it goes on, for the page, the recorder and tests.

Everything lies in rings in shared memory: the control process writes what was asked, applied and measured;
the run's own process writes shapes, sound and notes by a `Telemetry`. Any number of readers (`RunReader`),
in any process, look at them without anybody waiting.

    telemetry = Telemetry(config, control)            # in the run; control: a ControlProcess
    reader = RunReader(telemetry.rings)               # or RunRings.from_json(...) elsewhere
    reader.snapshot().applied_u
"""
