"""A stand-in for an influxdb3 Enterprise node, for tests and demonstrations.

`node.py` is one node, `cluster.py` starts five of them in the documented layout. README.md says what is real
and what is only alike.
"""
