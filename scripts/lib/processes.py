"""Programs run in the background: started with a log file, watched, and stopped together."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Failure(Exception):
    """Something the demo cannot go on without; the text says what and what to do."""


def free_port(preferred):
    """The preferred port, or the next one that nobody listens on."""
    for port in range(preferred, preferred + 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure(f"no free port from {preferred} to {preferred + 199}")


class Program:
    """A program in the background, its output in a log file."""

    def __init__(self, name, command, log, cwd=None, env=None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            # A group of its own: a Ctrl-C at the terminal reaches this script alone, which then stops things in order.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def check(self):
        """Raises when the program is no longer there."""
        code = self.process.poll()
        if code is not None:
            raise Failure(f"{self.name} ended with code {code}; the end of {self.log}:\n{tail(self.log)}")

    def wait_for(self, url, seconds=90):
        """Waits until a URL of the program answers with anything."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except (urllib.error.URLError, OSError):
                pass
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} did not answer at {url} in {seconds} s; see {self.log}")
            time.sleep(0.1)

    def stop(self, seconds=10):
        """Asks the program to end, then makes it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def tail(path, lines=15):
    """The last lines of a file."""
    with open(path, errors="replace") as text:
        return "".join(text.readlines()[-lines:])
