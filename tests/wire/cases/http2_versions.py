"""Any version on the client's side to any version on the node's side: what arrives, and in which form."""
import hashlib
import json

from wire.lib import http2_peer as h2
from wire.lib.house import case
from wire.lib.http1_client import check_fault
from wire.lib.http1_node import answer, head_of
from wire.lib.http2_house import FLIGHT, GRPC, LINES, QUERY, VERSIONS, WRITE, connect, say, serve, serve_version
from wire.lib.http2_node import grpc_reply, leaves_body, reply

LARGE = hashlib.sha256(b"seed").digest() * (10 * 1024 * 1024 // 32)


def sha(data):
    return hashlib.sha256(data).hexdigest()


@case(*VERSIONS)
def a_get_arrives_and_is_answered(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        for _ in range(3):
            reply_ = client.ask("GET", QUERY, b"", {"X-Own" if front == 1 else "x-own": "Value"})
            assert (reply_.status, json.loads(reply_.body)) == (200, {"node": "q1"}) and reply_.is_whole, reply_
            assert reply_.node == "q1" and reply_.field("x-request-id"), reply_
        request = sluice.q1.seen[2]
        assert (request.method, request.target, request.body) == ("GET", QUERY, b"")
        assert request.headers["host"] == "sluice.example" and request.headers["x-own"] == "Value", request.headers
        assert "content-length" not in request.headers and "transfer-encoding" not in request.headers
        assert len({each.link_number for each in sluice.q1.seen}) == 1, "one link is enough"


@case(*VERSIONS)
def the_node_learns_who_asked_and_how(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        lies = {"x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https", "forwarded": "for=9.9.9.9"}
        assert client.ask("GET", QUERY, b"", lies).status == 200
        fields = sluice.q1.seen[0].headers
        assert fields["via"].startswith("2.0 sluice-" if front == 2 else "1.1 sluice-"), fields
        assert (fields["x-forwarded-for"], fields["x-forwarded-proto"]) == ("127.0.0.1", "http"), fields
        assert fields["x-forwarded-host"] == "sluice.example" and "forwarded" not in fields, fields
        looped = client.ask("GET", QUERY, b"", {"via": fields["via"]})
        assert looped.status == 508, looped


@case(*VERSIONS)
def a_head_has_its_length_and_no_body(house, front, back):
    @leaves_body
    def bodiless(stream, _):
        if back == 2:
            stream.send_head([(":status", "200"), ("content-length", "1234")], end=True)
        else:
            stream.send(head_of(200, {}, 1234))
        return True
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        sluice.q1.script.put(bodiless)
        reply_ = client.ask("HEAD", QUERY)
        assert (reply_.status, reply_.field("content-length"), reply_.body) == (200, "1234", b""), reply_
        assert reply_.is_whole and client.ask("GET", QUERY).status == 200


@case(*VERSIONS)
def a_post_keeps_its_length(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        assert client.ask("POST", WRITE, LINES).status == 204
        request = sluice.i1.seen[0]
        assert request.body == LINES and request.headers["content-length"] == str(len(LINES)), request.headers
        assert "transfer-encoding" not in request.headers


@case(*VERSIONS)
def a_post_without_a_length_arrives_without_one(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        assert client.ask("POST", WRITE, LINES, {}, True).status == 204
        request = sluice.i1.seen[0]
        assert request.body == LINES and "content-length" not in request.headers, request.headers
        assert request.headers.get("transfer-encoding") == (None if back == 2 else "chunked"), request.headers


@case((1, 1), *VERSIONS)
def tiny_pieces_go_on_together(house, front, back):
    """A chunk or frame for each byte, all in one read: the node does not get as many."""
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        if front == 1:
            client.send("POST", WRITE, chunked=True, only_head=True)
        else:
            stream = client.open("POST", WRITE, end=False)
        sluice.i1.wait(lambda: sluice.i1.seen)
        with sluice.stopped():
            if front == 1:
                client.send_raw(b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
            else:
                client.send(h2.data(stream.number, b"x") * 1000 + h2.data(stream.number, b"", True))
        answered = client.read() if front == 1 else stream.wait_over()
        request = sluice.i1.seen[0]
        assert answered.status == 204 and request.body == b"x" * 1000, answered
        count = request.chunks if back == 1 else len(request.stream.pieces)
        assert 0 < count < 20, f"{count} pieces"


@case(*VERSIONS)
def an_empty_post_is_whole_at_once(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        assert client.ask("POST", WRITE).status == 204
        if front == 2:
            stream = client.open("POST", WRITE, end=False)  # its end comes alone
            stream.send_end()
            assert stream.wait_over().status == 204
            assert client.open("POST", WRITE).wait_over().status == 204
        for request in sluice.i1.seen:
            assert request.body == b"" and request.headers.get("content-length", "0") == "0", request.headers


@case(*VERSIONS)
def a_204_has_neither_body_nor_length(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        reply_ = client.ask("POST", WRITE, LINES)
        assert (reply_.status, reply_.body, reply_.field("content-length")) == (204, b"", None), reply_
        assert reply_.field("transfer-encoding") is None and reply_.is_whole, reply_
        if front == 2:
            assert reply_.ended_by == h2.HEADERS, "a frame too many"


@case(*VERSIONS)
def a_304_has_no_body(house, front, back):
    @leaves_body
    def unchanged(stream, _):
        if back == 2:
            stream.send_head([(":status", "304"), ("etag", '"a"'), ("content-length", "99")], end=True)
        else:
            stream.send(head_of(304, {"ETag": '"a"'}, 99))
        return True
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        sluice.q1.script.put(unchanged)
        reply_ = client.ask("GET", QUERY)
        assert (reply_.status, reply_.body, reply_.field("etag")) == (304, b"", '"a"') and reply_.is_whole, reply_
        assert client.ask("GET", QUERY).status == 200


@case(*VERSIONS)
def an_answer_without_a_length_ends_where_it_ends(house, front, back):
    def chunks(link, _):
        link.send(head_of(200, {"Transfer-Encoding": "chunked"}) + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        return True
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        sluice.q1.script.put(reply(200, b"abcdefg", with_length=False) if back == 2 else chunks)
        reply_ = client.ask("GET", QUERY)
        assert reply_.body == b"abcdefg" and reply_.is_whole and reply_.field("content-length") is None, reply_
        assert reply_.field("transfer-encoding") == ("chunked" if front == 1 else None), reply_


@case(*VERSIONS)
def ten_mebibytes_each_way(house, front, back):
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        sluice.i1.script.put(say(back, 200, LARGE))
        reply_ = client.ask("POST", WRITE, LARGE)
        assert reply_.status == 200 and sha(reply_.body) == sha(LARGE), (reply_.status, len(reply_.body))
        assert sha(sluice.i1.seen[0].body) == sha(LARGE), len(sluice.i1.seen[0].body)


@case(*VERSIONS)
def an_early_hint_passes(house, front, back):
    def hints(stream, request):
        if back == 2:
            stream.send_head([(":status", "103"), ("link", "</a>")])
            reply(200, b"late")(stream, request)
            return True
        stream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        return answer(200, "late")(stream, request)
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        sluice.q1.script.put(hints)
        reply_ = client.ask("GET", QUERY)
        assert (reply_.status, reply_.body, len(reply_.interims)) == (200, b"late", 1), reply_
        if front == 2:
            assert (":status", "103") in reply_.interims[0] and ("link", "</a>") in reply_.interims[0], reply_.interims


@case((1,), (2,))
def names_are_in_lower_case_on_http2(house, front):
    """http2_peer.py takes nothing else; here they come in mixed case from the other side."""
    with serve(house, "IqC" if front == 2 else "iQc") as sluice, connect(sluice, front) as client:
        if front == 2:
            sluice.q1.script.put(lambda link, _: link.send(head_of(200, {"X-MiXed-CASE": "VaLue"}, 0)) or True)
        reply_ = client.ask("GET", QUERY, b"", {"X-MIXED-Case" if front == 1 else "x-mixed-case": "VaLue"})
        fields = reply_ if front == 2 else None
        value = fields.field("x-mixed-case") if fields else dict(sluice.q1.seen[0].fields).get("x-mixed-case")
        assert value == "VaLue", reply_


@case((1,), (2,))
def cookie_crumbs_are_put_together(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")]
        assert client.ask("GET", QUERY, b"", crumbs).status == 200
        request = sluice.q1.seen[0]
        values = [request.headers["cookie"]] if back == 1 else [v for n, v in request.fields if n == "cookie"]
        assert "; ".join(values) == "a=1; b=2; c=3", values


@case((1,), (2,))
def blanks_around_a_value_are_left_out(house, back):
    """Tokens and names of databases as they were pasted: over HTTP/1 they are trimmed."""
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(say(back, 200, "{}", x_note=" a b\t", x_empty=" "))
        fields = [("authorization", "Bearer token "), ("cookie", " a=1 "), ("cookie", "b=2\t"), ("x-blank", " \t")]
        answered = client.ask("GET", QUERY, b"", fields)
        assert answered.status == 200 and answered.is_whole, answered
        assert (answered.field("x-note"), answered.field("x-empty")) == ("a b", ""), answered
        seen = sluice.q1.seen[0].headers
        assert seen["authorization"] == "Bearer token" and seen["cookie"] == "a=1; b=2" and seen["x-blank"] == "", seen


@case()
def blanks_around_a_value_of_trailers_are_left_out(house):
    with serve_version(house, 2) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(grpc_reply(text=" good\t", x_rows=" 3 "))
        answered = client.begin("POST", FLIGHT, b"", {**GRPC, "database": "sensors "}, True).wait_over()
        assert answered.grpc_status == 0 and answered.trailer("grpc-message") == "good" and answered.trailer("x-rows") == "3", answered
        assert sluice.q1.seen[0].headers["database"] == "sensors"


@case((1,), (2,))
def repeated_fields_stay_apart_and_in_order(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY, b"", [("x-many", "1"), ("x-many", ""), ("x-many", "3")]).status == 200
        assert sluice.q1.seen[0].headers["x-many"] == "1, , 3", sluice.q1.seen[0].headers


@case((1,), (2,))
def authority_beats_host(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY, b"", {"host": "other.example"}).status == 200
        assert sluice.q1.seen[0].headers["host"] == "sluice.example", sluice.q1.seen[0].headers
        stream = client.new_stream()
        stream.send_head([(":method", "GET"), (":scheme", "http"), (":path", QUERY), ("host", "only.example")], end=True)
        assert stream.wait_over().status == 200
        assert sluice.q1.seen[1].headers["host"] == "only.example", sluice.q1.seen[1].headers


@case()
def what_concerns_one_hop_stays_on_it_towards_http2(house):
    hop = {"Connection": "X-Gone", "X-Gone": "1", "Keep-Alive": "timeout=5", "Proxy-Connection": "keep-alive",
           "TE": "trailers, deflate", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    with serve(house, "iQc") as sluice, connect(sluice, 1) as client:
        hop["Connection"] = "X-Gone, TE, Upgrade, HTTP2-Settings"
        assert client.ask("GET", QUERY, b"", hop).status == 200
        names = {name for name, _ in sluice.q1.seen[0].fields}
        assert not names & {name.lower() for name in hop} - {"te"}, names
        assert dict(sluice.q1.seen[0].fields).get("te") in (None, "trailers")


@case()
def what_concerns_one_hop_stays_on_it_towards_the_client(house):
    hop = {"Connection": "X-Gone, keep-alive", "X-Gone": "1", "Keep-Alive": "timeout=5", "Proxy-Connection": "keep-alive",
           "Upgrade": "h2c"}
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(lambda link, _: link.send(head_of(200, hop, 0)) or True)
        reply_ = client.ask("GET", QUERY)
        assert reply_.status == 200 and not {name for name, _ in reply_.fields} & {name.lower() for name in hop}, reply_


@case((1,), (2,))
def te_trailers_goes_on_where_it_means_something(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        assert client.ask("GET", QUERY, b"", {"te": "trailers"}).status == 200
        assert sluice.q1.seen[0].headers.get("te") == ("trailers" if back == 2 else None), sluice.q1.seen[0].headers


@case(*VERSIONS)
def a_long_target_arrives(house, front, back):
    target = QUERY + "x" * (65536 - len(QUERY) - 100)
    with serve_version(house, back) as sluice, connect(sluice, front) as client:
        if front == 2:
            stream = client.new_stream()
            block = h2.encode(h2.request_fields("GET", target))
            pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
            client.send(h2.headers(stream.number, pieces[0], end=True, flags=0) +
                        b"".join(h2.continuation(stream.number, piece, 0) for piece in pieces[1:-1]) +
                        h2.continuation(stream.number, pieces[-1]))
            reply_ = stream.wait_over()
        else:
            reply_ = client.ask("GET", target)
        assert reply_.status == 200, reply_
        assert sluice.q1.seen[0].target == target


@case(("a field", [("x-large", "v" * 40000)] * 3, 431), ("too many", [("x", "y")] * 120, 431),
      ("the target", None, 414))
def a_head_above_the_limits_is_refused(house, _, fields, status):
    with serve(house, "iqc", {"limits": {"target": "8KiB"}}) as sluice, connect(sluice, 2) as client:
        stream = client.new_stream()
        target = QUERY if fields else QUERY + "x" * 9000
        block = h2.encode(h2.request_fields("GET", target, fields or ()))
        pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
        client.send(h2.headers(stream.number, pieces[0], end=True, flags=h2.END_HEADERS if len(pieces) == 1 else 0) +
                    b"".join(h2.continuation(stream.number, piece, h2.END_HEADERS if piece is pieces[-1] else 0)
                             for piece in pieces[1:]))
        reply_ = stream.wait_over()
        error = "request_head_too_large" if status == 431 else "request_target_too_long"
        assert reply_.status == status and json.loads(reply_.body)["error_code"] == f"router_{error}", reply_
        assert reply_.is_whole and reply_.reset_code in (None, h2.NO_ERROR), reply_
        assert client.ask("GET", QUERY).status == 200, "the connection goes on"
        assert len(sluice.q1.seen) == 1


@case((1,), (2,))
def a_large_answer_head_arrives(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        sluice.q1.script.put(say(back, 200, b"x", x_large="v" * 15000))
        assert client.ask("GET", QUERY).field("x-large") == "v" * 15000


@case()
def our_own_errors_are_the_same_words_on_http2(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        sluice.i1.refuse()
        check_fault(client.ask("POST", "/write?db=d", LINES), 503, "connect_refused", "/write")
        check_fault(client.ask("POST", WRITE, LINES), 503, "connect_refused")
        check_fault(client.ask("GET", "/metrics"), 421, "node_not_named")
        assert client.ask("GET", QUERY).status == 200


@case((1,), (2,))
def an_answer_before_the_end_of_the_upload_is_read(house, back):
    """RFC 9113 section 8.1: the answer, whole, and RST_STREAM NO_ERROR for the rest of the upload; the connection goes on."""
    @leaves_body
    def refuse(stream, _):
        if back == 2:
            stream.send_head([(":status", "413"), ("content-length", "9")])
            stream.send_data(b"too large", end=True)
            stream.reset(h2.NO_ERROR)
            return True
        stream.send(head_of(413, {"Connection": "close"}, 9) + b"too large")
        return False
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        sluice.i1.script.put(refuse)
        stream = client.open("POST", WRITE, {"content-length": "1000000"}, end=False)
        stream.send_data(b"x" * 10000)
        stream.wait(lambda: stream.is_ended, "an end")
        assert (stream.status, stream.body) == (413, b"too large"), stream
        stream.wait_reset(h2.NO_ERROR)
        assert client.ask("GET", QUERY).status == 200
        assert not client.goaways


@case()
def a_request_that_expects_100_is_served(house):
    with serve(house, "iqc") as sluice, connect(sluice, 2) as client:
        stream = client.open("POST", WRITE, {"expect": "100-continue", "content-length": str(len(LINES))}, end=False)
        stream.wait(lambda: stream.interims, "100")
        stream.send_data(LINES, end=True)
        assert stream.wait_over().status == 204 and dict(stream.interims[0]) == {":status": "100"}, stream.interims
        assert sluice.i1.seen[0].body == LINES and "expect" not in sluice.i1.seen[0].headers


@case((1,), (2,))
def padding_and_priorities_mean_nothing(house, back):
    with serve_version(house, back) as sluice, connect(sluice, 2) as client:
        stream = client.new_stream()
        block = h2.encode(h2.request_fields("POST", WRITE, {"content-length": "5"}))
        client.send(h2.priority(stream.number, 0) +
                    h2.frame(h2.HEADERS, h2.END_HEADERS | h2.PADDED | h2.PRIORITIZED, stream.number,
                             bytes([4]) + b"\0\0\0\0\x0f" + block + bytes(4)) +
                    h2.frame(h2.DATA, h2.PADDED, stream.number, bytes([200]) + b"hel" + bytes(200)) +
                    h2.frame(h2.DATA, h2.PADDED | h2.END_STREAM, stream.number, bytes([0]) + b"lo"))
        assert stream.wait_over().status == 204, stream
        assert sluice.i1.seen[0].body == b"hello"


@case(("application/grpc",), ("application/grpc+proto",))
def grpc_content_on_http1_is_an_ordinary_request(house, kind):
    with serve(house, "iqc") as sluice, connect(sluice, 1) as client:
        reply_ = client.ask("POST", "/api/v3/query_sql", b"\0\0\0\0\0", {"Content-Type": kind})
        assert (reply_.status, reply_.node) == (200, "q1"), reply_
        sluice.q1.refuse()
        sluice.q1.links[-1].kill()
        failed = client.ask("POST", "/api/v3/query_sql", b"\0\0\0\0\0", {"Content-Type": kind, "TE": GRPC["te"]})
        check_fault(failed, 503, "connect_refused", "/api/v3/query_sql")
