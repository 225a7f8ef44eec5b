"""A conversion for tests: copies, or fails as a file that holds more than weights does."""

from __future__ import annotations

import sys
import time
from pathlib import Path

if __name__ == "__main__":
    agreed, folder = sys.argv[1], Path(sys.argv[2])
    content = (folder / "model.pt").read_bytes()
    if agreed != "--yes" or content == b"bomb":
        print("something else\nmodel.pt holds more than layers of neural networks.", file=sys.stderr)
        sys.exit(1)
    if content == b"slow":
        time.sleep(60)
    (folder / "converted").mkdir()
    (folder / "converted" / "model.safetensors").write_bytes(content)
