"""sluice drain, ready, maint."""
from command import CommandTest
from fake_admin import FakeAdmin, answer

READY = {'write': 'ready', 'query': 'ready', 'flight': 'ready'}
DRAIN = {'write': 'drain', 'query': 'drain', 'flight': 'drain'}


def report(admin=None, outstanding=0, done=True, node_id='query-01'):
    return answer(200, {'node_id': node_id, 'admin': DRAIN if admin is None else admin, 'outstanding': outstanding, 'done': done})


class Node(CommandTest):
    def tell(self, replies, arguments, status, out, error=''):
        with FakeAdmin(replies) as admin:
            self.expect([*arguments, '--admin', admin.address], status, out, error.replace('ADDRESS', admin.address))
            return admin.requests

    def test_done(self):
        requests = self.tell({'POST /nodes/query-01/drain': report()}, ['drain', 'query-01'], 0, 'query-01: drain, 0 outstanding: done\n')
        self.assertEqual(requests[0].fields['x-sluice-admin'], '1')

    def test_not_done_is_a_failure(self):
        self.tell({'POST /nodes/query-01/drain': report(outstanding=12, done=False)}, ['drain', 'query-01'], 1,
                  'query-01: drain, 12 outstanding: not done\n')

    def test_class_and_wait(self):
        self.tell({'POST /nodes/query-01/drain?class=write&wait=30s': report()}, ['drain', '--class', 'write', 'query-01', '--wait=30s'], 0,
                  'query-01: drain, 0 outstanding: done\n')
        self.tell({'POST /nodes/query-01/drain?wait=500ms': report()}, ['drain', 'query-01', '--wait', '500ms'], 0,
                  'query-01: drain, 0 outstanding: done\n')
        self.tell({'POST /nodes/query-01/maint?class=query': report()}, ['maint', 'query-01', '--class=query'], 0,
                  'query-01: drain, 0 outstanding: done\n')

    def test_the_time_to_wait_is_added_to_the_time_limit(self):
        self.tell({'POST /nodes/query-01/drain?wait=300ms': None}, ['drain', 'query-01', '--wait', '300ms', '--timeout', '100ms'], 1, '',
                  'sluice drain: ADDRESS: no whole answer within 400 ms; see whether that Sluice is alive, or give it more time with '
                  '--timeout\n')

    def test_states_by_class(self):
        for classes, words in ((READY, 'ready'), (DRAIN, 'drain'), ({}, 'ready'), ({**READY, 'write': 'drain'}, 'drain:write'),
                               ({**READY, 'write': 'drain', 'query': 'drain'}, 'drain:write,query'),
                               ({**READY, 'write': 'drain', 'query': 'maint'}, 'maint:query drain:write'),
                               ({**DRAIN, 'query': 'maint'}, 'maint:query drain:write,flight')):
            self.tell({'POST /nodes/query-01/ready': report(classes)}, ['ready', 'query-01'], 0, f'query-01: {words}, 0 outstanding: done\n')

    def test_names_are_encoded(self):
        self.tell({'POST /nodes/a%2Fb%20%3F%23%25%C3%A9~x/maint?class=%26x%3D1': report(node_id='a/b')},
                  ['maint', 'a/b ?#%é~x', '--class', '&x=1'], 0, 'a/b: drain, 0 outstanding: done\n')

    def test_a_node_that_is_not_there(self):
        self.tell({'POST /nodes/qury-01/drain': answer(404, {'error': 'no node "qury-01"; did you mean "query-01"?'})}, ['drain', 'qury-01'], 1, '',
                  'sluice drain: ADDRESS: answers 404: no node "qury-01"; did you mean "query-01"?\n')

    def test_several_sluices(self):
        with FakeAdmin({'POST /nodes/query-01/drain': report()}) as first, \
                FakeAdmin({'POST /nodes/query-01/drain': report(outstanding=1, done=False)}) as second:
            self.expect(['drain', 'query-01', '--admin', first.address, '--admin', second.address], 1,
                        f'{first.address}: query-01: drain, 0 outstanding: done\n'
                        f'{second.address}: query-01: drain, 1 outstanding: not done\n', '')

    def test_answers_that_are_none(self):
        good = {'node_id': 'query-01', 'admin': DRAIN, 'outstanding': 0, 'done': True}
        for change, problem in (({'node_id': None}, 'node_id is missing'), ({'node_id': 7}, 'node_id is no text'),
                                ({'outstanding': -1}, 'outstanding is no count'), ({'outstanding': '0'}, 'outstanding is no count'),
                                ({'done': 'yes'}, 'done is neither true nor false'), ({'admin': []}, 'admin is no object'),
                                ({'admin': {'write': 'gone'}}, 'admin is neither ready, drain nor maint in one of its classes')):
            with FakeAdmin({'POST /nodes/query-01/drain': answer(200, {**good, **change})}) as admin:
                result = self.sluice('drain', 'query-01', '--admin', admin.address)
                self.assertEqual((result.returncode, result.stdout), (1, ''))
                self.assertIn(f': {problem}; use the sluice of the running version\n', result.stderr)
