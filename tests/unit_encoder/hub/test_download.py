"""Downloads are whole or not there, and happen once."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub import download
from encoder.hub.download import fetch_onnx

MODEL = bytes(range(256)) * 9000  # more than one block
BASE = "/ann/voices/resolve/main"


class Hub(ThreadingHTTPServer):
    """Serves `files`; a body may be promised longer than it is, or never come."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.promised = {}, [], 0
        self.status, self.stuck = 200, threading.Event()
        self.stuck.set()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.stuck.wait(5)
        body = self.server.files.get(self.path)
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
    hub.files = {f"{BASE}/voice.onnx": MODEL, f"{BASE}/voice.toml": b"kind"}
    hub.promised = 10
    with pytest.raises(BackendUnavailable, match="broke off 10 bytes before the end"):
        fetch_onnx("ann/voices/voice.onnx")
    assert left(tmp_path) == []
    hub.promised = 0
    assert fetch_onnx("ann/voices/voice.onnx").read_bytes() == MODEL


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


def test_an_endpoint_that_is_none(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(ConfigError, match="HF_ENDPOINT is 'file:///etc'"):
        fetch_onnx("ann/voices/voice.onnx")
