"""The page, served to this machine alone.

Only programs of this machine can connect, since the address is 127.0.0.1. A
page of another site that names its own host after this address (DNS rebinding)
is refused by the host that its requests name. The page itself loads nothing
from elsewhere, and no word is ever read as markup: words travel as JSON and are
shown as text.
"""

import functools
import http
import http.server
import json
import pathlib
import sys
import threading
import urllib.parse
from collections.abc import Mapping
from typing import NamedTuple

from glove_jax.explore import answers
from glove_jax.vectors.word_vectors import WordVectors

_HOST = "127.0.0.1"
_NAMES = {_HOST, "localhost"}  # under any port, which ssh may forward
_PAGE = pathlib.Path(__file__).parent / "page"
_FILES = {
  "/": ("index.html", "text/html"),
  "/style.css": ("style.css", "text/css"),
  "/script.js": ("script.js", "text/javascript"),
  "/map.js": ("map.js", "text/javascript"),
}
_SLOW = ("map", "changes", "intervals")
_HEADERS = {
  "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
  "style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
  "form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
}


class NamedVectors(NamedTuple):
  """One column of the page."""

  name: str
  vectors: WordVectors


class Explorer:
  """Answers the questions of the page about one run, or two.

  Args:
    runs: one or two.

  Raises:
    ValueError: there are no runs, or a vector is not finite.

  >>> import numpy as np
  >>> vectors = WordVectors(["king", "queen"], np.eye(2))
  >>> explorer = Explorer([NamedVectors("mine", vectors)])
  >>> explorer.answer("similarity", {"a": "king", "b": "queen"})["answers"]
  [{'word': 'queen', 'cosine': 0.0}]
  """

  def __init__(self, runs: list[NamedVectors]):
    if not runs:
      raise ValueError("There is nothing to explore: give one run or two.")
    for run in runs:
      _ = run.vectors.unit  # says so if a vector is not finite
    self._runs = runs
    # What takes long is done once, for one request of a kind at a time.
    self._locks = {kind: threading.Lock() for kind in _SLOW}
    self._known = functools.lru_cache(maxsize=16)(self._ask)

  def answer(self, question: str, query: Mapping[str, str]) -> dict:
    """Answers a question.

    Args:
      question: 'runs', 'changes' or one of `answers.QUESTIONS`.
      query: what the question is about; `run` says which run is asked.

    Returns:
      What can be written as JSON.

    Raises:
      ValueError: there is no such question, or the query is malformed.
    """
    if question == "runs":
      return {
        "runs": [
          {"name": run.name} | answers.about(run.vectors) for run in self._runs
        ]
      }
    if question not in answers.QUESTIONS and question != "changes":
      raise ValueError(f"There is no question {question!r}.")
    asked = question, tuple(sorted(query.items()))
    kind = "intervals" if query.get("intervals") == "1" else question
    if kind in _SLOW:
      with self._locks[kind]:
        return self._known(*asked)
    return self._ask(*asked)

  def _ask(self, question: str, items: tuple[tuple[str, str], ...]) -> dict:
    query = dict(items)
    if question == "changes":
      if len(self._runs) < 2:
        raise ValueError("There is one run here, so that nothing changes.")
      first, second = (run.vectors for run in self._runs[:2])
      return answers.changes(first, second, query)
    which = query.pop("run", "0")
    if which not in {str(i) for i in range(len(self._runs))}:
      raise ValueError(f"There is no run {which!r}.")
    ask = answers.QUESTIONS[question]
    return ask(self._runs[int(which)].vectors, query)


class Server(http.server.ThreadingHTTPServer):
  """Serves an explorer; `port` 0 takes a free one.

  Raises:
    OSError: the port is in use or not allowed.
  """

  def __init__(self, explorer: Explorer, port: int = 0):
    self.explorer = explorer
    try:
      super().__init__((_HOST, port), _Handler)
    except OSError as error:
      raise OSError(
        f"Port {port} cannot be had ({error.strerror}): give another port, or "
        "0 for a free one."
      ) from error

  @property
  def url(self) -> str:
    return f"http://{_HOST}:{self.server_address[1]}/"

  def handle_error(self, request, client_address) -> None:
    """Reports faults, but not that a browser closed a connection."""
    if not isinstance(sys.exception(), ConnectionError | TimeoutError):
      super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
  server: Server
  protocol_version = "HTTP/1.1"
  server_version, sys_version = "glove_jax", ""
  timeout = 60  # seconds that an idle connection stays open

  def do_GET(self) -> None:
    if _name(self.headers.get_all("Host", [])) not in _NAMES:
      self._error(http.HTTPStatus.FORBIDDEN, "This page is for localhost.")
      return
    url = urllib.parse.urlsplit(self.path)
    if url.path in _FILES:
      name, kind = _FILES[url.path]
      self._send(http.HTTPStatus.OK, kind, (_PAGE / name).read_bytes())
    elif url.path.startswith("/api/"):
      self._answer(url.path.removeprefix("/api/"), url.query)
    else:
      self._error(http.HTTPStatus.NOT_FOUND, "There is no such page.")

  def _answer(self, question: str, text: str) -> None:
    try:
      query = dict(urllib.parse.parse_qsl(text, max_num_fields=10))
      answer = self.server.explorer.answer(question, query)
    except (ValueError, ImportError) as error:
      self._error(http.HTTPStatus.BAD_REQUEST, str(error))
    else:
      self._json(http.HTTPStatus.OK, answer)

  def _error(self, status: http.HTTPStatus, sentence: str) -> None:
    self._json(status, {"error": sentence, "near": {}})

  def _json(self, status: http.HTTPStatus, value: dict) -> None:
    self._send(status, "application/json", json.dumps(value).encode())

  def _send(self, status: http.HTTPStatus, kind: str, body: bytes) -> None:
    self.send_response(status)
    self.send_header("Content-Type", f"{kind}; charset=utf-8")
    self.send_header("Content-Length", str(len(body)))
    for name, value in _HEADERS.items():
      self.send_header(name, value)
    self.end_headers()
    self.wfile.write(body)

  def log_message(self, format, *arguments) -> None:
    """Requests are not logged."""


def _name(hosts: list[str]) -> str:
  """The host that a request names, without its port."""
  if len(hosts) != 1:
    return ""
  name, colon, port = hosts[0].partition(":")
  return name.lower() if port.isdigit() or not colon else ""
