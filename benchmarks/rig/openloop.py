"""Small requests at a fixed rate over keep-alive connections, by a lean client of one thread.

A request is begun when it is due, whatever became of those before it, and its time is counted from then: a server that
stands still is in the figures of all that were due meanwhile (no coordinated omission). `paced` does the same for large
answers and broken connections; this one reaches some 10,000 a second. Run it as a program: HOST PORT RATE SECONDS TOKEN
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque

HEAD = (
    "GET /api/v1/items?page=2 HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) benchmark/1.0\r\nAccept: application/json\r\n\r\n"
)
CONNECTIONS = 64
WARM = 1.0  # seconds at the rate before those that are measured: as many connections are open then as it takes


class Client:
    """One connection with one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.due = 0.0
        self.got = b""

    def finished(self, data: bytes) -> bool:
        """Takes a part of the answer; raises ValueError where it is none."""
        self.got += data
        head, end, body = self.got.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head[:60])
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self.got = b""
        return True


def run(host: str, port: int, rate: float, seconds: float, token: str) -> list[float]:
    """Milliseconds of each request, sorted. Raises ValueError or OSError for whatever is no answer."""
    head = HEAD.format(host=host, port=port, token=token).encode()
    idle = deque(Client(host, port) for _ in range(CONNECTIONS))
    by_fd = {client.sock.fileno(): client for client in idle}
    poll = select.epoll()
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    begun, number, total, times = time.perf_counter(), 0, int(rate * seconds), []
    while len(times) < total:
        now = time.perf_counter()
        while number < total and idle and begun + number / rate <= now:
            client = idle.popleft()
            client.due = begun + number / rate
            client.sock.send(head)
            number += 1
        wait = begun + number / rate - time.perf_counter() if number < total and idle else 1.0
        select.select((poll,), (), (), max(0.0, wait))  # an epoll waits in whole milliseconds
        for fd, _ in poll.poll(0):
            client = by_fd[fd]
            data = client.sock.recv(65536)
            if not data:
                raise ValueError("the connection was closed")
            if client.finished(data):
                times.append((time.perf_counter() - client.due) * 1e3)
                idle.append(client)
    return sorted(times)


def main() -> None:
    host, port, rate, seconds, token = sys.argv[1:]
    run(host, int(port), float(rate), WARM, token)
    times = run(host, int(port), float(rate), float(seconds), token)

    def at(share: float) -> float:
        return times[min(len(times) - 1, int(len(times) * share))]

    print(json.dumps({"p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "worst": times[-1]}))


if __name__ == "__main__":
    main()
