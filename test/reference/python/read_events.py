"""The curves of a folder of event files as TensorBoard's own reader has them, and each file's SHA-256:

    read_events.py FOLDER

One JSON object: {"files": {name: sha256}, "curves": {tag: [[step, value], ...]}}.
"""

import hashlib
import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder = Path(sys.argv[1])
reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
reader.Reload()
tags = reader.Tags()["scalars"]
print(
    json.dumps(
        {
            "files": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(folder.iterdir())
            },
            "curves": {tag: [[at.step, at.value] for at in reader.Scalars(tag)] for tag in tags},
        }
    )
)
