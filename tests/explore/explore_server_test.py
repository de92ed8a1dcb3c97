"""The page over HTTP: what it serves, to whom, and that words stay text."""

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse

import numpy as np
import pytest
from run_py import REPO, run, sentence

from glove_jax.explore.server import _PAGE, Explorer, NamedVectors, Server
from glove_jax.vectors import formats
from glove_jax.vectors.word_vectors import WordVectors

MARKUP = "<img/src=x/onerror=document.title='stolen'>"
WORDS = ["king", "queen", MARKUP, "</script>", "bad\udce9", "\u202eright"]


@contextlib.contextmanager
def serving(words):
  table = np.random.default_rng(0).normal(size=(len(words), 4))
  with Server(
    Explorer([NamedVectors("a <b>", WordVectors(words, table))])
  ) as found:
    threading.Thread(target=found.serve_forever).start()
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def server():
  with serving(WORDS) as found:
    yield found


def fetch(server, path, host=None, method="GET"):
  """The status, the headers and the body."""
  port = server.server_address[1]
  connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
  headers = {"Host": host} if host is not None else {}
  connection.request(method, path, headers=headers)
  answer = connection.getresponse()
  out = answer.status, answer.headers, answer.read()
  connection.close()
  return out


def ask(server, question, **query):
  path = f"/api/{question}?{urllib.parse.urlencode(query)}"
  status, _, body = fetch(server, path)
  return status, json.loads(body)


def test_it_listens_on_this_machine_alone(server):
  assert server.server_address[0] == "127.0.0.1"
  assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


@pytest.mark.parametrize("host, status", [
  ("127.0.0.1:1", 200), ("localhost", 200), ("LocalHost:99", 200),
  ("evil.example", 403), ("evil.example:8000", 403), ("", 403),
  ("127.0.0.1.evil.example", 403), ("localhost:80@evil.example", 403),
  ("192.168.0.1", 403), ("[::1]:80", 403),
])  # fmt: skip
def test_a_foreign_host_is_refused(server, host, status):
  for path in ("/", "/script.js", "/api/runs", "/api/neighbors?q=king"):
    found, _, body = fetch(server, path, host)
    assert found == status
    assert status == 200 or b"king" not in body


def test_nothing_is_loaded_from_elsewhere(server):
  for path in ("/", "/style.css", "/script.js", "/map.js"):
    status, headers, body = fetch(server, path)
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(rb"https?:|\burl\(|@import|//\w+\.", body)
  page = fetch(server, "/")[2].decode()
  names = {*re.findall(r'(?:src|href)="([^"]+)"', page)} - {"data:,"}
  assert names == {"style.css", "script.js"}


def test_words_are_never_set_as_markup():
  for path in _PAGE.glob("*.js"):
    code = path.read_text()
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacent", "eval",
                   "document.write", "DOMParser", "Function("):  # fmt: skip
      assert unsafe not in code


@pytest.mark.parametrize("path", [
  "/nothing", "/../server.py", "/%2e%2e/server.py", "//style.css/..",
  "/page/index.html",
])  # fmt: skip
def test_there_is_nothing_else(server, path):
  assert fetch(server, path)[0] == 404


def test_only_get_is_answered(server):
  assert fetch(server, "/api/runs", method="POST")[0] == 501


@pytest.mark.parametrize("word", WORDS[:4] + WORDS[5:])
def test_any_word_can_be_asked(server, word):
  status, answer = ask(server, "neighbors", q=word)
  assert status == 200
  found = {x["word"] for x in answer["answers"]}
  assert found == {*WORDS} - {word}


def test_bad_questions_are_sentences(server):
  assert ask(server, "neighbors", q="kingg")[1]["near"] == {"kingg": ["king"]}
  status, answer = ask(server, "neighbors", q="king", k="x")
  assert status == 400 and answer["error"].startswith("k must be")
  many = "&".join(f"x{i}=1" for i in range(50))
  assert fetch(server, f"/api/neighbors?{many}")[0] == 400


def test_a_port_in_use_is_a_sentence(server):
  port = server.server_address[1]
  with pytest.raises(OSError, match=f"Port {port} cannot be had.*free one"):
    Server(server.explorer, port)


@pytest.fixture
def file(tmp_path):
  path = tmp_path / "v.txt"
  formats.write_vectors(WordVectors(WORDS[:2], np.eye(2)), path)
  return path


def test_the_command_serves_two_files_until_it_is_stopped(file):
  command = [sys.executable, REPO / "run.py", "explore", f"--input={file}"]
  with subprocess.Popen(
    [*command, f"--against={file}", "--port=0"],
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
  ) as process:  # fmt: skip
    url = re.search(r"http://([\d.]+):(\d+)/", process.stdout.readline())
    connection = http.client.HTTPConnection(url[1], int(url[2]), timeout=30)
    connection.request("GET", "/api/runs")
    found = json.loads(connection.getresponse().read())["runs"]
    connection.close()
    assert [run["name"] for run in found] == [str(file)] * 2
    process.send_signal(2)
    assert process.communicate(timeout=60)[1] == "" and process.returncode == 0


def test_wrong_uses_of_the_command(file, server):
  flag = f"--input={file}"
  sentence(run("explore", flag, "king"), "explore takes no words")
  sentence(run("explore", flag, "--against=/nothing"), "/nothing")
  port = server.server_address[1]
  sentence(run("explore", flag, f"--port={port}"), f"Port {port}", "another")


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_in_a_browser_markup_is_text(tmp_path):
  query = urllib.parse.urlencode({"q": MARKUP})
  # Chromium cannot print a page with a lone surrogate, as WORDS has.
  with serving(WORDS[:4]) as server:
    done = subprocess.run(
      ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
       f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000",
       "--dump-dom", f"{server.url}#{query}"],
      capture_output=True, text=True, timeout=120,
    )  # fmt: skip
  assert "<bdi>&lt;/script&gt;</bdi>" in done.stdout  # an answer
  assert "&lt;img/src=x/onerror" in done.stdout  # the title
  assert "<img" not in done.stdout and ">stolen</title>" not in done.stdout
