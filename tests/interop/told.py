"""What peers that do as they are told have in common. Arguments: port, folder.

Orders are in `script.json` in the folder, whose keys stand at the top of each; `log` there has a line of JSON for each event.
"""
import json
import pathlib
import sys
import threading

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
lock = threading.Lock()


def script():
    try:
        return json.loads((folder / "script.json").read_text())
    except FileNotFoundError:
        return {}


def log(**event):
    with lock, open(folder / "log", "a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
