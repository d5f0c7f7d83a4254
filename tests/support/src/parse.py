"""Parses metrics pages from standard input with Prometheus' Python parsers.

Prints "ready" first, if the parsers are installed. Reads for each page a line with its format and its length in bytes,
then the page. Prints for each page one line: "ok" and the number of samples, or the error.
"""

import sys

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as text
except ImportError:
    sys.exit()
print("ready", flush=True)

PARSERS = {"text": text, "openmetrics": openmetrics}

while header := sys.stdin.buffer.readline():
    name, length = header.split()
    page = sys.stdin.buffer.read(int(length)).decode()
    try:
        samples = sum(len(family.samples) for family in PARSERS[name.decode()](page))
        answer = f"ok {samples}"
    except Exception as error:
        answer = f"{type(error).__name__}: {error}".replace("\n", "\\n")
    print(answer, flush=True)
