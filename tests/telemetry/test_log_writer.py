"""Writing to an output that is slow, full or gone never stalls or kills the worker, and says what was lost."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.telemetry.log_writer import PIPE_BUF, LogWriter, chunks


class Pipe(NamedTuple):
    """The two ends of a pipe; a test may close either."""

    reader: FileIO
    writer: FileIO

    @property
    def fd(self) -> int:
        return self.writer.fileno()

    def read(self) -> bytes:
        return os.read(self.reader.fileno(), 4096)

    def read_until(self, last: bytes) -> list[dict[str, Any]]:
        data = b""
        while last not in data or not data.endswith(b"\n"):
            data += self.read()
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with FileIO(reader, "r") as r, FileIO(writer, "w") as w:
        yield Pipe(r, w)


def lines(count: int, size: int = 100, start: int = 0) -> bytes:
    return b"".join(b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * size) for n in range(start, start + count))


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    writer = LogWriter(pipe.fd)
    writer.write(lines(3))
    writer.write(lines(2, start=3))
    writer.close()
    assert [line["n"] for line in pipe.read_until(b'"n":4,')] == [0, 1, 2, 3, 4]
    assert writer.dropped == 0


def test_a_reader_that_stands_still_loses_lines_and_is_told_how_many_and_where(pipe: Pipe) -> None:
    writer = LogWriter(pipe.fd, room=100_000)
    for start in range(0, 5000, 500):  # 600 KB: more than the pipe and the room hold
        writer.write(lines(500, start=start))
    assert writer.dropped > 0
    before = writer.dropped
    os.set_blocking(pipe.reader.fileno(), False)
    seen = b""
    # The reader wakes up, and reads without waiting: the writer notes that it has finished after its last byte.
    while b'"n":499,' not in seen or writer._accepted > writer._finished:
        with contextlib.suppress(BlockingIOError):
            seen += pipe.read()
    os.set_blocking(pipe.reader.fileno(), True)
    writer.write(lines(1, start=9000))
    assert writer.dropped == before
    while b'"n":9000,' not in seen or not seen.endswith(b"\n"):
        seen += pipe.read()
    numbers = [line.get("n", "gap") for line in map(json.loads, seen.splitlines())]
    gaps = [line["dropped"] for line in map(json.loads, seen.splitlines()) if line.get("reason") == "log_gap"]
    assert numbers[-2:] == ["gap", 9000]
    assert sum(gaps) == before
    assert len(numbers) - len(gaps) + before == 5001
    writer.close()


def test_a_closed_pipe_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    writer = LogWriter(pipe.fd)
    pipe.reader.close()
    writer.write(lines(3))
    writer.write(lines(4))
    writer.close()
    assert writer.dropped == 7


def test_a_named_pipe_whose_reader_comes_back_hears_of_the_gap(tmp_path: Path) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with path.open("wb", buffering=0) as fifo:
        writer = LogWriter(fifo.fileno())
        os.close(reader)
        writer.write(lines(3))
        while writer.dropped < 3:
            time.sleep(0.001)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer.write(lines(1, start=3))
        writer.close()
        gap, line = map(json.loads, os.read(reader, 4096).splitlines())
        os.close(reader)
    assert (gap["reason"], gap["dropped"], line["n"]) == ("log_gap", 3, 3)


def test_a_full_disk_is_survived() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        writer = LogWriter(full.fileno())
        writer.write(lines(2))
        writer.close()
    assert writer.dropped == 2


def test_closing_does_not_wait_for_a_reader_that_never_reads(pipe: Pipe) -> None:
    writer = LogWriter(pipe.fd)
    writer.write(lines(5000))
    writer.close(timeout=0.05)
    assert writer._thread.is_alive()
    pipe.read_until(b'"n":4999,')  # what it waits with is not lost, should the reader come
    writer._thread.join(5)
    assert not writer._thread.is_alive()


def test_a_pipe_that_somebody_made_non_blocking_gets_all_lines(pipe: Pipe) -> None:
    os.set_blocking(pipe.fd, False)
    writer = LogWriter(pipe.fd)
    writer.write(lines(5000))
    assert len(pipe.read_until(b'"n":4999,')) == 5000
    writer.close()
    assert writer.dropped == 0


def test_two_writers_on_one_pipe_never_mix_their_lines(pipe: Pipe) -> None:
    one, two = LogWriter(pipe.fd), LogWriter(pipe.fd)
    for start in range(0, 2000, 200):
        one.write(lines(200, size=700, start=start))
        two.write(lines(200, size=700, start=start + 10_000))
    seen = b""
    while seen.count(b"\n") < 4000:
        seen += pipe.read()
    numbers = [json.loads(line)["n"] for line in seen.splitlines()]
    assert [n for n in numbers if n < 10_000] == list(range(2000))
    assert [n for n in numbers if n >= 10_000] == list(range(10_000, 12_000))
    one.close()
    two.close()


def test_chunks_are_whole_lines_of_at_most_the_size_but_for_longer_lines() -> None:
    data = lines(100) + b"y" * 9000 + b"\n" + lines(100)
    parts = list(chunks(data, PIPE_BUF))
    assert b"".join(parts) == data
    assert all(part.endswith(b"\n") for part in parts)
    assert [part.count(b"\n") for part in parts if len(part) > PIPE_BUF] == [1]


def test_what_ends_without_a_newline_is_written_too() -> None:
    assert b"".join(chunks(b"z" * 10_000, PIPE_BUF)) == b"z" * 10_000
