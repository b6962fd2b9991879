"""The other end of bench/line-process.mjs: a JSON line in, a JSON line back."""

import json
import sys


def serve(side):
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(side, request.pop('command'))(**request)
            text = json.dumps(answer, allow_nan=False)  # JSON has no NaN, and its reader takes none
        except Exception as error:  # becomes the benchmark's error message
            text = json.dumps({'error': f'{type(error).__name__}: {error}'})
        print(text, flush=True)
