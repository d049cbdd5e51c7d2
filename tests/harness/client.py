"""The client's side: requests in all the framings that real clients use."""
import gzip
import http.client
import json
import threading
import urllib.parse

from harness.waiting import PATIENCE_SECONDS


def target(path, **params):
    """The path with a query string."""
    return path + ("?" + urllib.parse.urlencode(params) if params else "")


class Answer:
    """Status, headers (names in lower case) and body of one answer."""

    def __init__(self, response):
        self.status = response.status
        self.reason = response.reason
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def node(self):
        """The node that answered, None if Sluice did."""
        return self.headers.get("x-sluice-node")

    def expect(self, status):
        """Fails unless the status is this one; returns itself."""
        assert self.status == status, f"{self.status} instead of {status}: {self.body[:500]!r} {self.headers}"
        return self


def pieces_of(body, size=7):
    """A body as a generator, which http.client sends chunked."""
    for start in range(0, len(body), size):
        yield body[start:start + size]


class Client:
    """One kept-alive connection; http.client opens it anew when the server has closed it in order."""

    def __init__(self, address, headers=None):
        self.connection = http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)
        self.headers = headers or {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def call(self, method, path, body=None, headers=None, chunked=False, zipped=False):
        headers = {**self.headers, **(headers or {})}
        body = body.encode() if isinstance(body, str) else body
        if zipped:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        self.connection.request(method, path, pieces_of(body) if chunked else body, headers, encode_chunked=chunked)
        return Answer(self.connection.getresponse())


def call(address, method, path, body=None, headers=None, **framing):
    """One request on a connection of its own."""
    with Client(address) as client:
        return client.call(method, path, body, headers, **framing)


def together(functions):
    """Runs functions at the same time, each in a thread; returns their results, or raises the first exception."""
    results = [None] * len(functions)
    errors = []

    def run(index, function):
        try:
            results[index] = function()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(index, function), daemon=True)
               for index, function in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
