import functools
import hashlib
import http.server
import multiprocessing
import socket
import threading
import time

import pytest

from gan.data import DataError, download, known

FILES = {"one.gz": b"first" * 1000, "two.gz": b"second" * 1000}
HASHES = {
    "one.gz": hashlib.md5(FILES["one.gz"]).hexdigest(),
    "two.gz": hashlib.sha256(FILES["two.gz"]).hexdigest(),
}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve(tmp_path):
    """Starts a server on loopback for a folder; returns its address."""
    servers = []

    def start(files: dict, name="served"):
        folder = tmp_path / name
        folder.mkdir()
        for file_name, content in files.items():
            (folder / file_name).write_bytes(content)
        handler = functools.partial(QuietHandler, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_arrive_whole(serve, tmp_path):
    download.download(HASHES, (serve(FILES),), tmp_path / "cache")
    assert names_in(tmp_path / "cache") == ["one.gz", "two.gz"]
    assert (tmp_path / "cache" / "two.gz").read_bytes() == FILES["two.gz"]


def test_what_is_here_and_right_is_kept(serve, tmp_path):
    cache = tmp_path / "cache"
    download.download(HASHES, (serve(FILES),), cache)
    (cache / "one.gz").write_bytes(b"damaged")
    kept = (cache / "two.gz").stat().st_ino
    download.download(HASHES, (serve(FILES, "again"),), cache)
    assert (cache / "one.gz").read_bytes() == FILES["one.gz"]
    assert (cache / "two.gz").stat().st_ino == kept


def test_a_wrong_hash_leaves_nothing(serve, tmp_path):
    with pytest.raises(DataError, match=r"one\.gz: 3 bytes with the wrong hash"):
        download.download(HASHES, (serve(FILES | {"one.gz": b"bad"}),), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_next_mirror_helps_out(serve, tmp_path):
    bad, good = serve(FILES | {"one.gz": b"bad"}, "bad"), serve(FILES, "good")
    download.download(HASHES, (bad, good), tmp_path / "cache")
    assert (tmp_path / "cache" / "one.gz").read_bytes() == FILES["one.gz"]


class HastyHandler(QuietHandler):
    """Promises more than it sends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"abc")


def test_a_mirror_that_breaks_off_is_left_for_the_next(serve, tmp_path):
    hasty = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HastyHandler)
    threading.Thread(target=hasty.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{hasty.server_port}/"
    try:
        download.download(HASHES, (address, serve(FILES)), tmp_path / "cache")
        assert (tmp_path / "cache" / "one.gz").read_bytes() == FILES["one.gz"]
        with pytest.raises(DataError, match="IncompleteRead"):
            download.download(HASHES, (address,), tmp_path / "other")
    finally:
        hasty.shutdown()
        hasty.server_close()


def test_what_does_not_speak_http_is_no_network(tmp_path):
    def babble(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"what?\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=babble, args=(listener,), daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(DataError, match="no network"):
            download.download(HASHES, (address,), tmp_path / "cache")


def test_a_silent_mirror_does_not_hold_up_a_good_one(serve, silent, tmp_path):
    started = time.monotonic()
    download.download(HASHES, (silent, serve(FILES)), tmp_path / "cache")
    assert time.monotonic() - started < download.SECONDS_TO_ANSWER


def test_no_network_is_known_at_once_when_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DataError, match="no network: no answer"):
        download.download(HASHES, (f"http://127.0.0.1:{port}/",), tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["silent server", "hanging name look-up"])
def test_no_network_is_known_within_ten_seconds(how, silent, tmp_path, monkeypatch):
    released = threading.Event()

    def hang(*arguments, **kwargs):
        released.wait(20)
        raise OSError("no such host")

    if how == "hanging name look-up":
        monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(DataError, match="no network"):
        download.download(HASHES, (silent, silent), tmp_path / "cache")
    assert time.monotonic() - started < 10
    released.set()


def _download_in_child(address, folder, barrier):
    barrier.wait()
    download.download(HASHES, (address,), folder)


@pytest.mark.slow
def test_two_processes_race_for_it(serve, tmp_path):
    context = multiprocessing.get_context("spawn")
    address, barrier = serve(FILES), context.Barrier(2)
    children = [
        context.Process(target=_download_in_child, args=(address, tmp_path / "cache", barrier))
        for _ in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert names_in(tmp_path / "cache") == ["one.gz", "two.gz"]


def test_an_unwritable_cache_gets_one_line(serve, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        download.download(HASHES, (serve(FILES),), tmp_path / "file" / "cache")


def test_every_known_dataset_has_its_hashes_and_mirrors():
    assert known.HASHES.keys() == known.MIRRORS.keys()
    for hashes in known.HASHES.values():
        assert len(hashes) == 4
        assert {len(digest) for digest in hashes.values()} <= {32, 64}
