"""Holds dashboards against the typed models that Grafana publishes (the Python package grafana-foundation-sdk).

Each file is read into the models and written again. The models drop a key that they do not know and refuse what is
missing, so whatever does not come back is no part of Grafana's schema.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(path, wanted, found):
    """Where the second of two documents lacks something of the first, or has it otherwise."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from differences(f"{path}.{key}", value, found[key])
            elif value is not None:
                yield f"{path}.{key}: the schema does not know it"
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{path}: {len(wanted)} became {len(found)}"
        for at, (value, other) in enumerate(zip(wanted, found)):
            yield from differences(f"{path}[{at}]", value, other)
    elif wanted != found:
        yield f"{path}: {wanted!r} became {found!r}"


def main(files):
    register_default_plugins()
    wrong = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            wanted = json.load(file)
        found = json.loads(JSONEncoder().encode(Dashboard.from_json(wanted)))
        for difference in differences(name, wanted, found):
            print(difference)
            wrong += 1
    print(f"{len(files)} dashboards, {wrong} differences")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
