"""Runs the server example as a process, sends deliveries over HTTP, and reads its output and its log."""

import http.client
import os
import queue
import re
import signal
import subprocess
import threading
import time


class Server:
    def __init__(self, program, secret):
        environment = {**os.environ, "PORT": "0", "WORKOS_WEBHOOK_SECRET": secret}
        self.process = subprocess.Popen(
            [program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )
        self.lines = self._read(self.process.stdout)
        self.log = self._read(self.process.stderr)
        self.all_log = []
        self.timeout = 10
        first = self.lines.get(timeout=30)
        found = re.fullmatch(r"listening on http://(127\.0\.0\.1:\d+)(/.*)", first)
        assert found, f"unexpected first line of the server: {first!r}"
        self.address, self.path = found.groups()
        self.url = f"http://{self.address}{self.path}"

    @staticmethod
    def _read(stream):
        lines = queue.Queue()

        def read():
            for line in stream:
                lines.put(line.rstrip("\n"))
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return lines

    def deliver(self, signatures, body):
        """Sends a delivery. Returns the status and the event that the server printed, or the kind of rejection that it logged."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        body = body.encode()
        connection.putrequest("POST", self.path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        for signature in signatures:
            connection.putheader("WorkOS-Signature", signature)
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
        connection.close()
        return self.said(response.status)

    def said(self, status):
        """The server's next line, or the next rejection in its log. It writes both before it responds."""
        if status == 200:
            return f"200 {self._following(self.lines)}"
        log = self._following(self.log)
        # The server logs at most ten rejections of a kind per second, and only counts the others.
        time.sleep(0.12)
        self.all_log.append(log)
        kind = re.search(r'kind="(\w+)" status=(\d+)', log)
        if not kind or kind[2] != str(status):
            return f"{status}, but the log says {log!r}"
        return f"{status} {kind[1]}"

    def _following(self, lines):
        try:
            return lines.get(timeout=self.timeout) or "(the server has exited)"
        except queue.Empty:
            # It is probably missing each time from now on: don't wait as long again.
            self.timeout = 0.1
            return "(no line)"

    def end(self):
        """Sends SIGINT. Returns the remaining lines, the exit code, the remaining log and the whole log."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        rest = list(iter(lambda: self.lines.get(timeout=10), None))
        log = list(iter(lambda: self.log.get(timeout=10), None))
        return rest, code, log, "\n".join(self.all_log + log)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
