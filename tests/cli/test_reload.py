"""sluice reload: the findings as `sluice check` prints them."""
import re

from command import CommandTest
from fake_admin import FakeAdmin, answer

WARNING = {'file': '/etc/sluice.yaml', 'line': 3, 'column': 7, 'severity': 'warning', 'text': 'no compactor; add one'}
ERROR = {'file': '/etc/sluice.yaml', 'line': 12, 'column': 1, 'severity': 'error', 'text': 'unknown key "nodse"; did you mean "nodes"?'}


class Reload(CommandTest):
    def reload(self, reply, status, out, error=''):
        with FakeAdmin({'POST /reload': reply}) as admin:
            self.expect(['reload', '--admin', admin.address], status, out.replace('ADDRESS', admin.address), error.replace('ADDRESS', admin.address))
            self.assertEqual(admin.requests[0].fields['x-sluice-admin'], '1')

    def test_applied(self):
        self.reload(answer(200, {'applied': True, 'epoch': 4, 'findings': []}), 0, 'ADDRESS: in force: epoch 4, 0 warnings\n')

    def test_applied_with_a_warning(self):
        self.reload(answer(200, {'applied': True, 'epoch': 4, 'findings': [WARNING]}), 0,
                    '/etc/sluice.yaml:3:7: warning: no compactor; add one\nADDRESS: in force: epoch 4, 1 warning\n')

    def test_not_applied(self):
        self.reload(answer(422, {'applied': False, 'findings': [WARNING, ERROR]}), 1,
                    '/etc/sluice.yaml:3:7: warning: no compactor; add one\n'
                    '/etc/sluice.yaml:12:1: error: unknown key "nodse"; did you mean "nodes"?\n'
                    'ADDRESS: not in force, nothing has changed: 1 error, 1 warning\n')

    def test_a_finding_about_a_whole_file_or_none(self):
        self.reload(answer(422, {'applied': False, 'findings': [
            {**ERROR, 'line': 0, 'column': 0, 'text': 'cannot open: No such file or directory'},
            {'severity': 'error', 'text': 'out of memory', 'file': None, 'line': None}]}), 1,
            '/etc/sluice.yaml: error: cannot open: No such file or directory\nerror: out of memory\n'
            'ADDRESS: not in force, nothing has changed: 2 errors, 0 warnings\n')

    def test_nothing_drives_the_terminal(self):
        self.reload(answer(422, {'applied': False, 'findings': [{**ERROR, 'file': 'a\x1b]0;b', 'text': 'c\x07\x9bdé\x7f'}]}), 1,
                    'a?]0;b:12:1: error: c??dé?\nADDRESS: not in force, nothing has changed: 1 error, 0 warnings\n')

    def test_a_thousand_findings(self):
        findings = [{**ERROR, 'line': line + 1} for line in range(1000)]
        with FakeAdmin({'POST /reload': answer(422, {'applied': False, 'findings': findings})}) as admin:
            result = self.expect(['reload', '--admin', admin.address], 1, re.compile('1000 errors, 0 warnings\n$'), '')
            self.assertEqual(len(result.stdout.splitlines()), 1001)

    def test_answers_that_are_none(self):
        for body, problem in ((b'{"applied": tr', r'the answer is no whole JSON \(line 1, column \d+: .*\); name the admin\.address of a Sluice'),
                              (b'', r'the answer is no whole JSON .*'), (b'OK\n', r'the answer is no whole JSON .*'),
                              (b'[]', r'the answer is none that this version \(.*\) knows: it is no object; use the sluice of the running version'),
                              (b'{}', '.*: applied is missing; .*'), (b'{"applied": true}', '.*: findings is missing; .*'),
                              (b'{"applied": true, "applied": false}', '.* no whole JSON .*'),
                              (b'{"applied": true, "findings": {}}', '.*: findings is no list; .*'),
                              (b'{"applied": true, "findings": [7]}', r'.*: findings\[0\] is no object; .*'),
                              (b'{"applied": true, "findings": [{"severity": "error"}]}', r'.*: findings\[0\]\.text is missing; .*')):
            with FakeAdmin({'POST /reload': answer(200, body)}) as admin:
                self.expect(['reload', '--admin', admin.address], 1, '',
                            re.compile('^' + re.escape(f'sluice reload: {admin.address}: ') + problem + '\n$'))
