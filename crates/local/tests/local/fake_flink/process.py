#!/usr/bin/env python3
"""Stands for Flink's scripts: a JobManager that answers one request, or a TaskManager that waits.

What it does is told by the arguments of the job, which follow `--`.
"""
import http.server
import os
import signal
import subprocess
import sys
import threading

arguments = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []
job_manager = os.path.basename(sys.argv[0]) == "standalone-job.sh"
configuration = dict(
    line.rstrip("\n").split(": ", 1)
    for line in open(os.path.join(os.environ["FLINK_CONF_DIR"], "flink-conf.yaml"))
    if ": " in line
)
print("started with", sys.argv, flush=True)

if "stubborn" in arguments:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "children" in arguments:
    subprocess.Popen(["sleep", "600"], start_new_session=True)
if job_manager and "crash" in arguments:
    with open(os.environ["DREY_LOG_FILE"], "a") as log:
        log.write("java.lang.RuntimeException: outer\n\tat a.B.c(B.java:1)\n"
                  "Caused by: java.lang.ClassNotFoundException: no.such.Main\n\tat a.B.d(B.java:2)\n")
    sys.exit(1)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ('[{"key":"web.tmpdir","value":"%s"}]' % configuration["web.tmpdir"].strip("'\"")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


Answer.protocol_version = "HTTP/1.1"
if job_manager:
    port = int(configuration["rest.port"].strip("'\""))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    server.serve_forever()
else:
    threading.Event().wait()
