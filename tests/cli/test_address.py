"""Which Sluice a command talks to, with which token, and what it says when that does not go well."""
import os
import re
import socket
import unittest

from command import CommandTest
from fake_admin import FakeAdmin, answer, chunked, node, status

GOOD = {'POST /log-level?level=debug': answer(200, {})}
LEVEL = ('log-level', 'debug')


def free_port():
    """Of nobody: bound once, and nobody listens."""
    holder = socket.socket()
    holder.bind(('127.0.0.1', 0))
    return holder, holder.getsockname()[1]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(('::1', 0))
            return True
    except OSError:
        return False


class Address(CommandTest):
    def good(self, admin, *arguments, **variables):
        before = len(admin.requests)
        self.expect([*LEVEL, *arguments], 0, f'{admin.address}: log level debug\n', '', **variables)
        self.assertEqual(len(admin.requests), before + 1)
        return admin.requests[-1]

    def test_ipv4(self):
        with FakeAdmin(GOOD) as admin:
            request = self.good(admin, '--admin', admin.address)
            self.assertEqual(request.fields['host'], admin.address)
            self.assertEqual(request.fields['x-sluice-admin'], '1')
            self.assertEqual(request.fields['connection'], 'close')
            self.assertEqual(request.fields['content-length'], '0')
            self.assertNotIn('authorization', request.fields)

    @unittest.skipUnless(has_ipv6(), 'no IPv6 on this machine')
    def test_ipv6(self):
        with FakeAdmin(GOOD, address='::1') as admin:
            self.assertEqual(self.good(admin, '--admin', admin.address).fields['host'], admin.address)

    def test_a_name(self):
        with FakeAdmin(GOOD) as admin:
            address = f'localhost:{admin.port}'
            self.expect([*LEVEL, '--admin', address], 0, f'{address}: log level debug\n', '')
            self.assertEqual(admin.requests[0].fields['host'], address)

    def test_a_socket_file(self):
        with FakeAdmin(GOOD, path=os.path.join(self.work, 'admin.sock')) as admin:
            self.assertEqual(self.good(admin, '--admin', admin.address).fields['host'], 'localhost')

    def test_the_environment(self):
        with FakeAdmin(GOOD) as admin:
            self.good(admin, SLUICE_ADMIN=admin.address)

    def test_the_configuration(self):
        with FakeAdmin(GOOD) as admin:
            path = self.file('sluice.yaml', f'cluster_id: c\nadmin: {{address: "{admin.address}"}}\n')
            self.good(admin, '-c', path)
            self.good(admin, '--config', path)
            self.good(admin, '-c', self.file('other.yaml', 'cluster_id: c\n'), '-c', path)

    def test_the_command_line_comes_before_the_environment(self):
        with FakeAdmin(GOOD) as admin, FakeAdmin(GOOD) as other:
            path = self.file('sluice.yaml', f'cluster_id: c\nadmin: {{address: "{admin.address}"}}\n')
            other_path = self.file('other.yaml', f'cluster_id: o\nadmin: {{address: "{other.address}"}}\n')
            self.good(admin, '--admin', admin.address, SLUICE_ADMIN=other.address)
            self.good(admin, '--admin', admin.address, '-c', other_path)
            self.good(admin, '-c', other_path, '--admin', admin.address, SLUICE_ADMIN=other.address)
            self.good(admin, '--admin', admin.address, '-c', '/no/such.yaml')
            self.good(admin, '-c', path, SLUICE_ADMIN=other.address)
            self.assertEqual(other.requests, [])

    def test_a_file_without_an_address_does_not_let_the_environment_decide(self):
        with FakeAdmin(GOOD) as other:
            path = self.file('sluice.yaml', 'cluster_id: c\n')
            self.expect([*LEVEL, '-c', path], 1, '', re.compile('has no admin.address'), SLUICE_ADMIN=other.address)
            self.expect([*LEVEL, '-c', '/no/such.yaml'], 1, '', re.compile('cannot open'), SLUICE_ADMIN=other.address)
            self.assertEqual(other.requests, [])

    def test_a_configuration_with_errors_has_an_address_all_the_same(self):
        with FakeAdmin(GOOD) as admin:
            self.good(admin, '-c', self.file('bad.yaml', f'nodse: []\nnodes: 7\nadmin:\n  address: {admin.address}\n'))

    def test_a_configuration_without_an_address(self):
        for text in ('cluster_id: c\n', 'admin: {}\n', 'admin: [1]\n', 'admin: {address: [1]}\n', '- a\n'):
            path = self.file('sluice.yaml', text)
            self.expect([*LEVEL, '-c', path], 1, '', f'sluice log-level: {path} has no admin.address; add admin: {{address: '
                        '"127.0.0.1:8180"} and start Sluice anew, or name one with --admin\n')

    def test_a_configuration_that_cannot_be_read(self):
        self.expect([*LEVEL, '-c', '/no/such.yaml'], 1, '', '/no/such.yaml: error: cannot open: No such file or directory; check the name '
                    'and the permissions\n')
        path = self.file('broken.yaml', 'admin: {address: "127.0\n')
        self.expect([*LEVEL, '-c', path], 1, '', re.compile('^' + re.escape(path) + r':\d+:\d+: error: '))

    def test_several_are_all_asked_and_one_that_fails_does_not_stop_it(self):
        with FakeAdmin(GOOD) as first, FakeAdmin({}) as second, FakeAdmin(GOOD) as third:
            self.expect([*LEVEL, '--admin', first.address, '--admin', second.address, '--admin', third.address], 1,
                        f'{first.address}: log level debug\n{third.address}: log level debug\n',
                        f'sluice log-level: {second.address}: answers 404: no such route\n')


class Token(CommandTest):
    def test_it_goes_into_the_head(self):
        with FakeAdmin(GOOD) as admin:
            for text in ('s3cret', 's3cret\n', 's3cret\r\n', 's3cret\nand a remark\n'):
                self.expect([*LEVEL, '--admin', admin.address, '--token-file', self.file('token', text)], 0,
                            f'{admin.address}: log level debug\n', '')
                self.assertEqual(admin.requests[-1].fields['authorization'], 'Bearer s3cret')

    def test_it_is_wanted_or_refused(self):
        refusal = {'POST /log-level?level=debug': answer(401, {'error': 'a token is needed'}, ['WWW-Authenticate: Bearer'])}
        with FakeAdmin(refusal) as admin:
            said = f'sluice log-level: {admin.address}: answers 401: a token is needed; '
            self.expect([*LEVEL, '--admin', admin.address], 1, '', said + 'name the file with the admin token with --token-file\n')
            self.expect([*LEVEL, '--admin', admin.address, '--token-file', self.file('token', 'wrong')], 1, '',
                        said + 'the token of --token-file is not the one that this Sluice wants\n')

    def test_a_bad_file(self):
        for text, problem in (('', 'its first line is empty; write the token there'), ('\ntoken', 'its first line is empty; write the token there'),
                              ('to ken', 'there is a blank or a control character in the token; write the token alone there'),
                              ('t\x1b', 'there is a blank or a control character in the token; write the token alone there'),
                              ('t' * 5000, 'its first line is longer than any token; write the token alone there')):
            path = self.file('token', text)
            self.expect([*LEVEL, '--admin', '127.0.0.1:1', '--token-file', path], 1, '', f'sluice log-level: --token-file {path}: {problem}\n')
        self.expect([*LEVEL, '--admin', '127.0.0.1:1', '--token-file', '/no/token'], 1, '',
                    'sluice log-level: --token-file /no/token: No such file or directory\n')


class Failure(CommandTest):
    def fails(self, address, problem, *arguments):
        """`problem`: a pattern."""
        self.expect([*LEVEL, '--admin', address, *arguments], 1, '',
                    re.compile('^' + re.escape(f'sluice log-level: {address}: ') + problem + '\n$'))

    def answers(self, reply, problem, *arguments):
        with FakeAdmin(lambda request: reply) as admin:
            self.fails(admin.address, problem, *arguments)

    def test_nobody_listens(self):
        holder, port = free_port()
        with holder:
            self.fails(f'127.0.0.1:{port}', 'cannot connect: Connection refused; nobody listens there: start sluice serve, or name its '
                                            'admin.address with --admin')
        self.fails(f'unix:{self.work}/none', 'cannot connect: No such file or directory; nobody listens there: .*')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f'{self.work}/stale')
        self.fails(f'unix:{self.work}/stale', 'cannot connect: Connection refused; nobody listens there: .*')

    def test_a_name_that_does_not_exist(self):
        host = 'x' * 64  # longer than a label may be, so no server is asked
        self.fails(f'{host}:8180', f'no address of {host} is found: .*; write an IP address, as .*')

    def test_no_answer_in_time(self):
        self.answers(None, 'no whole answer within 200 ms; see whether that Sluice is alive, or give it more time with --timeout',
                     '--timeout', '200ms')

    def test_no_answer_at_all(self):
        self.answers(b'', 'the connection was closed without an answer; try again, and look into the log of that Sluice')

    def test_another_protocol(self):
        problem = r'what listens there does not answer in HTTP/1\.1; name the admin\.address of a Sluice with --admin'
        for reply in (b'SSH-2.0-OpenSSH_9.2\r\n', b'\x15\x03\x01\x00\x02\x02\x46', b'HTTP/1.1 100 Continue\r\n\r\n',
                      b'HTTP/1.1 200 OK\nContent-Length: 0\n\n', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
                      b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 70000 + b'\r\n\r\n'):
            self.answers(reply, problem)

    def test_an_answer_that_breaks_off(self):
        whole = answer(200, {'note': 'x' * 100})
        self.answers(whole[:20], r'the answer breaks off in its head; try again')
        self.answers(whole[:-1], r'the answer breaks off after \d+ bytes of its body; try again')
        self.answers(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
                     'the answer breaks off after 5 bytes of its body; try again')

    def test_an_answer_that_is_too_large(self):
        self.answers(b'HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n{', 'the answer has more than 64 MiB, .*')

    def test_a_route_that_is_not_known(self):
        unknown = r'answers 404: POST /log-level\?level=debug is not known there; is it the admin\.address of a Sluice of this version \(.*\)\?'
        for body in (b'try /status, /metrics or /health\n', b'', b'{"error": 7}', b'[]'):
            self.answers(answer(404, body), unknown)

    def test_a_refusal_is_told_in_the_servers_words(self):
        self.answers(answer(403, {'error': 'host "evil" is not one of admin.hosts', 'code': 'x'}),
                     'answers 403: host "evil" is not one of admin.hosts')
        self.answers(answer(400, {'error': 'a\x1b[31m\x9b\nb'}), r'answers 400: a\?\[31m\?\?\?b')


class Answer(CommandTest):
    """Every way in which HTTP/1.1 ends a body."""

    def test_chunked(self):
        document = status([node(number) for number in range(1000)])
        for size in (7, 4096, 1 << 20):
            with FakeAdmin({'GET /status': chunked(document, size)}) as admin:
                self.assertEqual(len(self.expect(['status', '--admin', admin.address], 0, re.compile(''), '').stdout.splitlines()), 1003)

    def test_until_the_connection_closes(self):
        whole = answer(200, status([node(1)]))
        with FakeAdmin({'GET /status': b'HTTP/1.1 200 OK\r\n\r\n' + whole.partition(b'\r\n\r\n')[2]}) as admin:
            self.assertEqual(len(self.expect(['status', '--admin', admin.address], 0, re.compile('query-0001'), '').stdout.splitlines()), 4)
