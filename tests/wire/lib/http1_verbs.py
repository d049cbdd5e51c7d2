"""What a node can do with a request, by the names that upstream_faults.txt uses."""
from harness.waiting import PATIENCE_SECONDS
from wire.lib.http1_node import Gone, answer, head_of

BODY = b'{"node":"first"}'


def leaves_body(verb):
    verb.leaves_body = True
    return verb


def then_close(data):
    def verb(link, _):
        link.send(data)
        link.close()
        return False
    return verb


def then_reset(data):
    def verb(link, _):
        link.send(data)
        link.reset()
        return False
    return verb


def then_silence(data):
    def verb(link, _):
        link.send(data)
        link.wait_end()
        return False
    return verb


def hold(release, verb=answer(200, "late")):
    """A verb that answers when the event is set."""
    def held(link, request):
        assert release.wait(PATIENCE_SECONDS)
        return verb(link, request)
    return held


def close(link, _):
    link.close()
    return False


def reset(link, _):
    link.reset()
    return False


silence = then_silence(b"")


def dribble(link, _):
    for byte in head_of(200, {"Content-Type": "application/json"}, len(BODY)) + BODY:
        link.send(bytes([byte]))
    return True


@leaves_body
def early_401(link, request):
    """As a node that does not read what it refuses: the unread body makes the end a reset, the answer must arrive."""
    link.send(head_of(401, {"Connection": "close"}, len(BODY)) + BODY)
    link.socket.shutdown(1)
    try:
        link.read_body(request)
        link.wait_end()
    except Gone:
        pass
    return False


def many_fields(link, _):
    fields = {f"X-Field-{number}": "v" for number in range(200)}
    link.send(head_of(200, fields, len(BODY)) + BODY)
    return True


HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
SHORT = head_of(200, {"Content-Type": "application/json"}, 100) + BODY
CHUNKED = head_of(200, {"Transfer-Encoding": "chunked"})


def hints_then_200(link, request):
    link.send(HINT * 3)
    return answer(200, BODY)(link, request)


VERBS = {
    "close": close,
    "reset": reset,
    "silence": silence,
    "noise": then_close(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "http09": then_close(b"<html>it works</html>\r\n\r\n"),
    "two-lengths": then_close(head_of(200, {"Content-Length": "3"}, 4) + b"abcd"),
    "switch": then_close(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
    "hints": then_close(HINT * 21 + head_of(200, {}, len(BODY)) + BODY),
    "half-head": then_close(b"HTTP/1.1 200 OK\r\nContent-Len"),
    "half-head-reset": then_reset(b"HTTP/1.1 200 OK\r\nContent-Len"),
    "huge-head": then_close(head_of(200, {"X-Huge": "x" * 100_000}, len(BODY)) + BODY),
    "many-fields": many_fields,
    "short-body": then_close(SHORT),
    "short-chunks": then_close(CHUNKED + b"10\r\n" + BODY + b"\r\n"),
    "reset-body": then_reset(SHORT),
    "bad-chunk": then_close(CHUNKED + b"10\r\n" + BODY + b"\r\nfive\r\nhello\r\n0\r\n\r\n"),
    "stall-body": then_silence(SHORT),
    "short-500": then_close(head_of(500, {}, 100) + BODY),
    "short-404": then_close(head_of(404, {}, 100) + BODY),
    "plain-500": answer(500, BODY, content_type="text/plain"),
    "plain-503": answer(503, BODY, content_type="text/plain"),
    "early-401": early_401,
    "last-answer": then_close(head_of(200, {"Connection": "close"}, len(BODY)) + BODY),
    "until-close": then_close(head_of(200) + BODY),
    "hints-then-200": hints_then_200,
    "dribble": dribble,
}
