"""The server example as a process: deliveries go in over HTTP, its lines and its log come out."""

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
        self.patience = 10
        first = self.lines.get(timeout=30)
        found = re.fullmatch(r"listening on http://(127\.0\.0\.1:\d+)(/.*)", first)
        assert found, f"the server said {first!r}"
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
        """The status and what the server said of it: the event, or the kind of the rejection."""
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
        """Its next line, or the next rejection in its log. It writes both before it answers."""
        if status == 200:
            return f"200 {self._following(self.lines)}"
        log = self._following(self.log)
        # It logs ten rejections of a kind a second, and only counts what is beyond.
        time.sleep(0.12)
        self.all_log.append(log)
        kind = re.search(r'kind="(\w+)" status=(\d+)', log)
        if not kind or kind[2] != str(status):
            return f"{status}, but the log says {log!r}"
        return f"{status} {kind[1]}"

    def _following(self, lines):
        try:
            return lines.get(timeout=self.patience) or "(it has ended)"
        except queue.Empty:
            # A server that is silent once may be so every time.
            self.patience = 0.1
            return "(nothing)"

    def end(self):
        """Asks it to end; what it had left to say, its exit code and all of its log."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        rest = list(iter(lambda: self.lines.get(timeout=10), None))
        log = list(iter(lambda: self.log.get(timeout=10), None))
        return rest, code, log, "\n".join(self.all_log + log)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
