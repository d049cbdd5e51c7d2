"""Real parts around Sluice: programs that nobody wrote for these tests.

InfluxDB 1.x stands behind it (cases/influxdb1.py), the official JavaScript clients, curl and Java's HttpClient in
front of it (with the stand-in cluster behind). `run.py BINARY` runs all of it.
"""
