"""The bridge as the demo runs it: a configuration made from its own example, a registration, a process."""

import re
import subprocess

from processes import Failure, Program


def run(bridge, folder, *arguments):
    """Runs a subcommand in the bridge's folder; what it printed."""
    done = subprocess.run([str(bridge), *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"drawbridge {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def set_value(text, key, value):
    """Sets `section.key` in a configuration of the bridge's example form, whether it was commented out or not."""
    section, name = key.split(".")
    lines = text.split("\n")
    inside = False
    for number, line in enumerate(lines):
        if re.match(r"\S", line) and not line.startswith("#"):
            inside = line.startswith(f"{section}:")
        elif inside and re.match(rf"  (# ?)?{name}:(\s|$)", line):
            lines[number] = f"  {name}: {value}"
            return "\n".join(lines)
    raise Failure(f"the bridge's example configuration has no key {key}")


def configure(bridge, folder, values):
    """Writes config.yaml from the bridge's example and registration.yaml from that; the registration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = run(bridge, folder, "config", "example")
    for key, value in values.items():
        text = set_value(text, key, value)
    (folder / "config.yaml").write_text(text)
    # Written again each time, because the ports in it may have changed; the tokens are in files of their own and stay.
    run(bridge, folder, "registration", "--output", "registration.yaml", "--force")
    run(bridge, folder, "config", "check")
    return folder / "registration.yaml"


def start(bridge, folder, appservice):
    """Starts the bridge and waits until it listens."""
    program = Program("the bridge", [bridge, "run"], folder / "bridge.log", cwd=folder)
    program.wait_for(f"http://{appservice}/")
    return program
