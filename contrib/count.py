#!/usr/bin/env python3
"""A sample service that speaks no HTTP: for each line that comes it says how many bytes that was. Prints its port."""

import socketserver


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"%d bytes\n" % len(line.rstrip(b"\r\n")))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def main():
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
