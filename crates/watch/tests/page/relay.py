"""A relay before a daemon, so that its connections can be cut while it runs on."""

import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Passes what comes to `url` on to the daemon. After `cut` connections are closed as they come, until `mend`."""

    def __init__(self, daemon):
        parts = urlsplit(daemon)
        self.daemon = (parts.hostname, parts.port or 80)
        self.connections = []
        self.is_cut = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.is_cut = True
        for connection in self.connections:
            close(connection)
        self.connections.clear()

    def mend(self):
        self.is_cut = False

    def _accept(self):
        while True:
            near, _ = self.listener.accept()
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(self.daemon)
            self.connections += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    close(source)
    close(sink)


def close(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
