serve -c ../tests/lint/tls-file-missing.yaml
