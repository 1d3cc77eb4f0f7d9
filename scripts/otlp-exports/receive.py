"""Saves what an application exports to it: receive.py PORT FOLDER NAME. Each export to /v1/metrics or /v1/logs becomes a file NAME.N.KIND.pb or
.json, as it came (.gz where it was packed), with N from 1 on. Prints a line when it listens, and ends with its standard input."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port, folder, name = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
saved = 0


class Receive(BaseHTTPRequestHandler):
    def do_POST(self):
        global saved
        if self.headers.get("transfer-encoding"):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        is_json = self.headers["content-type"].startswith("application/json")
        ending = "json" if is_json else "pb"
        if self.headers.get("content-encoding") == "gzip":
            ending += ".gz"
        kind = self.path.rsplit("/", 1)[1]
        with lock:
            saved += 1
            (folder / f"{name}.{saved}.{kind}.{ending}").write_bytes(body)
        self.send_response(200)
        self.send_header("content-type", self.headers["content-type"])
        answer = b"{}" if is_json else b""
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", port), Receive)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", flush=True)
sys.stdin.read()
