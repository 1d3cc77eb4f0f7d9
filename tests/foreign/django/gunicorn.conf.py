"""gunicorn, one process with threads for each instance."""

import os
import signal
import threading
import time

workers = 1
threads = 4
graceful_timeout = 3
# It would be one socket for all instances, in the home folder.
control_socket_disable = True


def post_fork(server, worker):
    """An instance ends with the process that it was made for, so that nothing stays behind when that is killed."""
    lives_with = os.environ.get("LIVES_WITH")
    if lives_with:
        threading.Thread(target=end_with, args=(lives_with, os.getppid()), daemon=True).start()


def end_with(process, server):
    try:
        while True:
            os.kill(int(process), 0)
            time.sleep(0.5)
    except ProcessLookupError:
        os.kill(server, signal.SIGKILL)
        os._exit(1)
