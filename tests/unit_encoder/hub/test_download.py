"""Downloads are whole or not there, and happen once."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub import download
from encoder.hub.download import fetch_onnx

# More than one block: a model with an empty graph, and a field that nobody knows.
BODY = bytes(range(256)) * 9000
MODEL = b"\x08\x08\x3a\x00\x82\x06" + bytes([0x80 | len(BODY) & 0x7F, 0x80 | len(BODY) >> 7 & 0x7F,
    0x80 | len(BODY) >> 14 & 0x7F, len(BODY) >> 21]) + BODY  # fmt: skip
PIN = hashlib.sha256(MODEL).hexdigest()
PAGE = b"<!DOCTYPE html>\n<html><body>Log in to the network</body></html>\n"
BASE = "/ann/voices/resolve/main"


class Hub(ThreadingHTTPServer):
    """Serves `files`; a body may be promised longer than it is, or never come."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.promised, self.moved = {}, [], 0, {}
        self.status, self.stuck = 200, threading.Event()
        self.stuck.set()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.stuck.wait(5)
        body = self.server.files.get(self.path)
        if self.path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[self.path])
            self.end_headers()
            return
        self.send_response(404 if body is None else self.server.status)
        self.send_header("Content-Length", str(len(body or b"") + self.server.promised))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    yield server
    server.stuck.set()
    server.shutdown()
    server.server_close()


def left(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_a_model_and_its_settings_come_once(hub, tmp_path):
    hub.files = {f"{BASE}/v1/voice.onnx": MODEL, f"{BASE}/v1/voice.toml": b'kind = "wave"'}
    path = fetch_onnx("ann/voices/v1/voice.onnx")
    assert path == tmp_path / "deepspeaker-diarize/hub/ann/voices/v1/voice.onnx"
    assert path.read_bytes() == MODEL
    assert path.with_suffix(".toml").read_bytes() == b'kind = "wave"'
    assert left(tmp_path) == ["voice.onnx", "voice.toml"]
    assert len(hub.asked) == 2
    assert fetch_onnx("ann/voices/v1/voice.onnx") == path
    assert len(hub.asked) == 2


def test_a_repository_without_settings(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL}
    assert fetch_onnx("ann/voices/voice.onnx").read_bytes() == MODEL
    assert left(tmp_path) == ["voice.onnx"]


def test_settings_of_the_user_stay(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL, f"{BASE}/voice.toml": b"theirs"}
    own = tmp_path / "deepspeaker-diarize/hub/ann/voices/voice.toml"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    fetch_onnx("ann/voices/voice.onnx")
    assert own.read_text() == "mine"


def test_a_torn_download_leaves_nothing(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL, f"{BASE}/voice.toml": b"kind = 1"}
    hub.promised = 10
    with pytest.raises(BackendUnavailable, match="broke off 10 bytes before the end"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []
    hub.promised = 0
    assert fetch_onnx("ann/voices/voice.onnx").read_bytes() == MODEL


@pytest.mark.parametrize(
    "content", [PAGE, b"", b"version https://git-lfs.example/v1\n", b'{"error": "x"}', MODEL[:-1]]
)
def test_what_is_no_model_is_not_kept(hub, tmp_path, content):
    hub.files = {f"{BASE}/voice.onnx": content}
    with pytest.raises(CheckpointError, match=r"no ONNX model, but perhaps a page to log in"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


def test_a_page_that_was_kept_once_is_fetched_again(hub, tmp_path):
    kept = tmp_path / "deepspeaker-diarize/hub/ann/voices/voice.onnx"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(PAGE)
    hub.files = {f"{BASE}/voice.onnx": MODEL}
    assert fetch_onnx("ann/voices/voice.onnx").read_bytes() == MODEL


def test_a_page_in_place_of_settings(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL, f"{BASE}/voice.toml": PAGE}
    with pytest.raises(CheckpointError, match=r"no TOML file: write '.*voice\.toml' yourself"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


@pytest.mark.parametrize("promised", [0, 1 << 40])
def test_nothing_endless_is_read(hub, tmp_path, monkeypatch, promised):
    monkeypatch.setattr(download, "MOST_BYTES", 1000)
    hub.files, hub.promised = {f"{BASE}/voice.onnx": MODEL}, promised
    with pytest.raises(CheckpointError, match="larger than 1,000 bytes"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


def test_settings_are_small(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL, f"{BASE}/voice.toml": b"#" * 70_000}
    with pytest.raises(CheckpointError, match="larger than 65,536 bytes"):
        fetch_onnx("ann/voices/voice.onnx")


def test_a_pinned_model_is_that_model(hub, tmp_path):
    hub.files = {f"{BASE}/voice.onnx": MODEL}
    wrong = "0" * 64
    with pytest.raises(CheckpointError, match=f"another file than .* with {wrong[:12]}"):
        fetch_onnx(f"ann/voices/voice.onnx@{wrong}")
    assert left(tmp_path) == []
    path = fetch_onnx(f"ann/voices/voice.onnx@{PIN.upper()}")
    assert path.name == "voice.onnx" and fetch_onnx(f"ann/voices/voice.onnx@{PIN}") == path
    path.write_bytes(MODEL[:-1] + b"x")
    with pytest.raises(CheckpointError, match="delete it if it lies in your cache"):
        fetch_onnx(f"ann/voices/voice.onnx@{PIN}")


@pytest.mark.parametrize("pin", ["", "12", "g" * 64, PIN + "0", f"{PIN}@"])
def test_a_pin_that_is_none(hub, pin):
    with pytest.raises(ConfigError, match="64 digits"):
        fetch_onnx(f"ann/voices/voice.onnx@{pin}")
    assert hub.asked == []


def test_it_is_sent_on_within_https_only(hub, tmp_path):
    hub.moved = {f"{BASE}/voice.onnx": "/files/1"}
    hub.files = {"/files/1": MODEL}
    assert fetch_onnx("ann/voices/voice.onnx").read_bytes() == MODEL
    for place in ("http://hub.invalid/1", "ftp://127.0.0.1/1", "file:///etc/passwd"):
        hub.moved = {f"{BASE}/other.onnx": place}
        with pytest.raises(BackendUnavailable, match=r"(not https|status 302)"):
            fetch_onnx("ann/voices/other.onnx")
    assert left(tmp_path) == ["voice.onnx"]


def test_a_hub_that_does_not_answer(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    hub.stuck.clear()
    with pytest.raises(BackendUnavailable, match=r"timed out.*check the network"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


def test_a_hub_in_trouble(hub, tmp_path):
    hub.files, hub.status = {f"{BASE}/voice.onnx": b"sorry"}, 503
    with pytest.raises(BackendUnavailable, match="status 503"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


def test_no_such_file(hub, tmp_path):
    with pytest.raises(CheckpointError, match=f"no public file http.*{BASE}/voice.onnx"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []


def test_no_network(hub, tmp_path, monkeypatch):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(BackendUnavailable) as caught:
        fetch_onnx("ann/voices/voice.onnx")
    sentence = str(caught.value)
    assert "check the network" in sentence and "\n" not in sentence
    assert str(tmp_path / "deepspeaker-diarize/hub/ann/voices/voice.onnx") in sentence
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "address",
    ["", "voice.onnx", "ann/voice.onnx", "ann/voices/voice.bin", "../../../etc/voice.onnx",
     "ann/voices/../voice.onnx", "ann//voice.onnx", "ann/voices/a b.onnx", "ann/voices/.onnx"],
)  # fmt: skip
def test_addresses_that_are_none(address, hub):
    with pytest.raises(ConfigError, match=r"write onnx:hf:OWNER/REPOSITORY/FILE\.onnx"):
        fetch_onnx(address)
    assert hub.asked == []


@pytest.mark.parametrize(
    "endpoint",
    ["file:///etc", "http://hub.example", "http://localhost.example", "https://", "ftp://127.0.0.1",
     "http://[::1", "hub.example"],
)  # fmt: skip
def test_an_endpoint_that_is_none(hub, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ConfigError, match=r"HF_ENDPOINT is .*begins with https://"):
        fetch_onnx("ann/voices/voice.onnx")
    assert hub.asked == []
