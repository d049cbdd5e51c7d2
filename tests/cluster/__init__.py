"""Sluice in front of a whole stand-in cluster: what a client of such a cluster sees, test by test.

`run.py BINARY` runs all of it. A behaviour is a function `test_...` in one of the `test_*.py` files; a file says in
`stage` what its tests need to have running. stage.py and sluice.py make that, client.py is the client's side.
"""
