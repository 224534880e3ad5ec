"""The process that draws: a line of JSON in (a snapshot), a JPEG with its length before it out.

    python -m animaface.app.page.painter FACE

Only this process imports mujoco.
"""

import io
import json
import os
import struct
import sys

import numpy as np

from animaface.robot.config import load_face

SIZE = (420, 420)


def main() -> int:
    """Until the end of standard input."""
    from PIL import Image

    from animaface.sim.render.video import open_painter

    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a graphics library that prints must not do so among the pictures
    with open_painter(load_face(sys.argv[1]), SIZE, samples=1) as painter:
        for line in sys.stdin:
            drawn = io.BytesIO()
            Image.fromarray(painter.draw(np.array(json.loads(line)))).save(drawn, "JPEG", quality=82)
            out.write(struct.pack("<I", drawn.tell()) + drawn.getvalue())
            out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
